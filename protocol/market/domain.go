package market

// Chain is where vouchers of a channel can be settled. The chain of a
// network without one is NoChain.
type Chain struct {
	ID       uint64
	Contract Address
}

const domainType = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"

var domainTypeHash = keccak([]byte(domainType))

// NoChain is the chain of a network without settlement: its vouchers are
// signed IOUs, and nothing signed on it replays on another network.
func NoChain(network string) Chain {
	h := keccak([]byte("souk/none/" + network))
	return Chain{Contract: Address(h[12:])}
}

func (c Chain) separator(name, version string) Hash {
	return keccak(encode(domainTypeHash, word(keccak([]byte(name))), word(keccak([]byte(version))), wordUint(c.ID), wordAddress(c.Contract)))
}

func (c Chain) digest(name, version string, structHash Hash) Hash {
	sep := c.separator(name, version)
	return keccak([]byte{0x19, 0x01}, sep[:], structHash[:])
}

// Digest is what is signed for a quote, lease or receipt with that struct hash.
func (c Chain) Digest(structHash Hash) Hash { return c.digest("souk", "1", structHash) }

// VoucherDigest is what is signed for a voucher.
func (c Chain) VoucherDigest(v Voucher) Hash {
	return c.digest("x402 Batch Settlement", "1", v.Hash())
}

// ChannelID is the EIP-712 digest of the config, in the x402 domain.
func (c Chain) ChannelID(cfg ChannelConfig) Hash {
	return c.digest("x402 Batch Settlement", "1", cfg.Hash())
}
