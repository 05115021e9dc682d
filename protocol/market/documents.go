package market

// The EIP-712 documents. Encode gives a document's block, the exact preimage
// of its struct hash; the Decode functions accept that block and no other.

const (
	quoteType   = "Quote(bytes32 requestHash,bytes32 termsHash,address provider,address client,bytes32 channelId,uint8 unit,uint64 tickUnits,uint128 tickPrice,uint32 maxTicks,uint128 minCharge,uint64 maxMillis,uint64 startBy,uint64 expiresAt,bytes32 nonce)"
	leaseType   = "Lease(bytes32 quoteHash,bytes32 jobHash)"
	receiptType = "Receipt(bytes32 leaseHash,uint32 seq,bytes32 previous,uint64 units,uint128 charged,uint8 outcome,bytes32 bodyHash)"
	voucherType = "Voucher(bytes32 channelId,uint128 maxClaimableAmount)"
	channelType = "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
)

var (
	quoteTypeHash   = keccak([]byte(quoteType))
	leaseTypeHash   = keccak([]byte(leaseType))
	receiptTypeHash = keccak([]byte(receiptType))
	voucherTypeHash = keccak([]byte(voucherType))
	channelTypeHash = keccak([]byte(channelType))
)

// What a quote's unit counts.
const (
	UnitMillis uint8 = 0 // milliseconds of running
	UnitMeter  uint8 = 1 // the meter that the terms name
)

// Quote is a provider's expiring answer to one request.
type Quote struct {
	RequestHash Hash
	TermsHash   Hash
	Provider    Address
	Client      Address
	Channel     Hash
	Unit        uint8
	TickUnits   uint64 // units in one tick
	TickPrice   Amount
	MaxTicks    uint32
	MinCharge   Amount
	MaxMillis   uint64 // longest running time
	StartBy     uint64 // Unix ms: preparing ends by then
	ExpiresAt   uint64 // Unix ms: no accept after it
	Nonce       Hash
}

// Encode is the quote's block.
func (q Quote) Encode() []byte {
	return encode(quoteTypeHash, word(q.RequestHash), word(q.TermsHash), wordAddress(q.Provider), wordAddress(q.Client),
		word(q.Channel), wordUint(uint64(q.Unit)), wordUint(q.TickUnits), wordAmount(q.TickPrice), wordUint(uint64(q.MaxTicks)),
		wordAmount(q.MinCharge), wordUint(q.MaxMillis), wordUint(q.StartBy), wordUint(q.ExpiresAt), word(q.Nonce))
}

// Hash is the quote's struct hash.
func (q Quote) Hash() Hash { return keccak(q.Encode()) }

// DecodeQuote reads a quote's block; it doesn't validate the figures.
func DecodeQuote(block []byte) (Quote, error) {
	r, err := decode("quote", block, quoteTypeHash, 14)
	if err != nil {
		return Quote{}, err
	}
	q := Quote{
		RequestHash: r.hash(), TermsHash: r.hash(), Provider: r.address(), Client: r.address(), Channel: r.hash(),
		Unit: uint8(r.uint(8)), TickUnits: r.uint(64), TickPrice: r.amount(), MaxTicks: uint32(r.uint(32)), //nolint:gosec // range checked by uint
		MinCharge: r.amount(), MaxMillis: r.uint(64), StartBy: r.uint(64), ExpiresAt: r.uint(64), Nonce: r.hash(),
	}
	if r.err != nil {
		return Quote{}, r.err
	}
	return q, nil
}

// Lease binds a job to a quote; provider and client both sign it.
type Lease struct {
	QuoteHash Hash
	JobHash   Hash
}

// Encode is the lease's block.
func (l Lease) Encode() []byte { return encode(leaseTypeHash, word(l.QuoteHash), word(l.JobHash)) }

// Hash is the lease's struct hash, the name of the lease everywhere.
func (l Lease) Hash() Hash { return keccak(l.Encode()) }

// DecodeLease reads a lease's block.
func DecodeLease(block []byte) (Lease, error) {
	r, err := decode("lease", block, leaseTypeHash, 2)
	if err != nil {
		return Lease{}, err
	}
	return Lease{QuoteHash: r.hash(), JobHash: r.hash()}, nil // any 32 bytes are a hash
}

// Receipt says what a lease has used and owes so far.
type Receipt struct {
	Lease    Hash
	Seq      uint32 // from 1
	Previous Hash   // struct hash of the receipt before; 0 for the first
	Units    uint64 // cumulative
	Charged  Amount // cumulative
	Outcome  Outcome
	BodyHash Hash
}

// Encode is the receipt's block.
func (r Receipt) Encode() []byte {
	return encode(receiptTypeHash, word(r.Lease), wordUint(uint64(r.Seq)), word(r.Previous), wordUint(r.Units),
		wordAmount(r.Charged), wordUint(uint64(r.Outcome)), word(r.BodyHash))
}

// Hash is the receipt's struct hash.
func (r Receipt) Hash() Hash { return keccak(r.Encode()) }

// DecodeReceipt reads a receipt's block.
func DecodeReceipt(block []byte) (Receipt, error) {
	r, err := decode("receipt", block, receiptTypeHash, 7)
	if err != nil {
		return Receipt{}, err
	}
	out := Receipt{
		Lease: r.hash(), Seq: uint32(r.uint(32)), Previous: r.hash(), Units: r.uint(64), //nolint:gosec // range checked by uint
		Charged: r.amount(), Outcome: Outcome(r.uint(8)), BodyHash: r.hash(), //nolint:gosec // range checked by uint
	}
	if r.err != nil {
		return Receipt{}, r.err
	}
	return out, nil
}

// Voucher is the client's cumulative ceiling on what the provider may claim
// from a channel.
type Voucher struct {
	Channel Hash
	Max     Amount
}

// Encode is the voucher's block.
func (v Voucher) Encode() []byte {
	return encode(voucherTypeHash, word(v.Channel), wordAmount(v.Max))
}

// Hash is the voucher's struct hash.
func (v Voucher) Hash() Hash { return keccak(v.Encode()) }

// DecodeVoucher reads a voucher's block.
func DecodeVoucher(block []byte) (Voucher, error) {
	r, err := decode("voucher", block, voucherTypeHash, 2)
	if err != nil {
		return Voucher{}, err
	}
	v := Voucher{Channel: r.hash(), Max: r.amount()}
	if r.err != nil {
		return Voucher{}, r.err
	}
	return v, nil
}

// ChannelConfig names a payment channel of the x402 batch-settlement scheme.
type ChannelConfig struct {
	Payer              Address
	PayerAuthorizer    Address
	Receiver           Address
	ReceiverAuthorizer Address
	Token              Address
	WithdrawDelay      uint64 // seconds, below 2^40
	Salt               Hash
}

// Encode is the config's block.
func (c ChannelConfig) Encode() []byte {
	return encode(channelTypeHash, wordAddress(c.Payer), wordAddress(c.PayerAuthorizer), wordAddress(c.Receiver),
		wordAddress(c.ReceiverAuthorizer), wordAddress(c.Token), wordUint(c.WithdrawDelay), word(c.Salt))
}

// Hash is the config's struct hash. The channel ID is Chain.ChannelID.
func (c ChannelConfig) Hash() Hash { return keccak(c.Encode()) }

// DecodeChannelConfig reads a config's block.
func DecodeChannelConfig(block []byte) (ChannelConfig, error) {
	r, err := decode("channel config", block, channelTypeHash, 7)
	if err != nil {
		return ChannelConfig{}, err
	}
	c := ChannelConfig{
		Payer: r.address(), PayerAuthorizer: r.address(), Receiver: r.address(), ReceiverAuthorizer: r.address(),
		Token: r.address(), WithdrawDelay: r.uint(40), Salt: r.hash(),
	}
	if r.err != nil {
		return ChannelConfig{}, r.err
	}
	return c, nil
}
