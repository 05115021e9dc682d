// Package markettest makes small, valid leases with fixed keys, for tests of
// packages that read receipts. Its functions panic where a document can't be
// made: a test that asks for that is wrong. Production code never imports it.
package markettest

import (
	"bytes"

	"github.com/ipfs/go-cid"
	lcrypto "github.com/libp2p/go-libp2p/core/crypto"

	"souk/protocol/market"
)

// Signer is the signer whose key is 32 times seed, which is 1 to 254.
func Signer(seed byte) *market.Signer {
	key, err := lcrypto.UnmarshalSecp256k1PrivateKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		panic(err)
	}
	s, err := market.NewSigner(key)
	if err != nil {
		panic(err)
	}
	return s
}

// Parties are who signs in a lease.
type Parties struct{ Provider, Client *market.Signer }

// Standard are the parties of every lease made here.
func Standard() Parties { return Parties{Provider: Signer(1), Client: Signer(2)} }

// Plan is what a lease looks like. Fields left zero get a sensible value.
type Plan struct {
	Network       string       // "souk-test"
	Chain         market.Chain // NoChain(Network)
	TickPrice     uint64       // 100
	MinCharge     uint64       // 0
	MaxTicks      uint32       // 100
	Units         []uint64     // cumulative ms in each receipt; 1000, 2000, 2500
	Outcome       market.Outcome
	Countersigned int // receipts from the first on that the client signed
	Job           string
}

func (p Plan) filled() Plan {
	if p.Network == "" {
		p.Network = "souk-test"
	}
	if p.Chain == (market.Chain{}) {
		p.Chain = market.NoChain(p.Network)
	}
	if p.TickPrice == 0 {
		p.TickPrice = 100
	}
	if p.MaxTicks == 0 {
		p.MaxTicks = 100
	}
	if p.Units == nil {
		p.Units = []uint64{1000, 2000, 2500}
	}
	if p.Outcome == market.NotEnded {
		p.Outcome = market.Succeeded
	}
	if p.Job == "" {
		p.Job = "digits"
	}
	return p
}

// Bundle makes a lease that ran and ended as planned.
func Bundle(p Plan) market.Bundle {
	p, who := p.filled(), Standard()
	b := market.Bundle{Network: p.Network, Chain: p.Chain}
	b.Request = Must(market.Request{Network: p.Network, Executor: "wasm", CPU: 1, Memory: 1 << 28, Disk: 1 << 26, MaxMillis: 600_000}.Encode())
	b.Terms = Must(market.Terms{
		Network: p.Network, CPU: 1, Memory: 1 << 28, Disk: 1 << 26, Executor: "wasm", Unit: "ms",
		PrepayTicks: 1, KeepUntil: 1_800_000_000_000, MaxOutput: 1 << 20, MaxLog: 1 << 20, PricePerHour: market.NewAmount(360_000),
	}.Encode())
	b.Job = Must(market.Job{Name: p.Job, WASM: Module(), Args: []string{"--epochs", "5"}, Outputs: "/out"}.Encode())

	cfg := Config(p.Chain, who)
	b.ChannelConfig = cfg.Encode()
	q := quote(p, who, b)
	q.Channel = p.Chain.ChannelID(cfg)
	b.Quote, b.QuoteSignature = q.Encode(), Sign(who.Provider, p.Chain.Digest(q.Hash()))

	l := market.Lease{QuoteHash: q.Hash(), JobHash: market.BlockHash(b.Job)}
	digest := p.Chain.Digest(l.Hash())
	b.Lease, b.ClientSignature, b.ProviderSignature = l.Encode(), Sign(who.Client, digest), Sign(who.Provider, digest)
	addReceipts(p, who, q, l.Hash(), &b)
	return b
}

func quote(p Plan, who Parties, b market.Bundle) market.Quote {
	return market.Quote{
		RequestHash: market.BlockHash(b.Request), TermsHash: market.BlockHash(b.Terms),
		Provider: who.Provider.Address(), Client: who.Client.Address(), Unit: market.UnitMillis, TickUnits: 1000,
		TickPrice: market.NewAmount(p.TickPrice), MaxTicks: p.MaxTicks, MinCharge: market.NewAmount(p.MinCharge),
		MaxMillis: 600_000, StartBy: 1_700_000_060_000, ExpiresAt: 1_700_000_030_000, Nonce: market.Hash{31: 7},
	}
}

// Config is the channel between the parties: a plain one without a chain.
func Config(c market.Chain, who Parties) market.ChannelConfig {
	cfg := market.ChannelConfig{
		Payer: who.Client.Address(), PayerAuthorizer: who.Client.Address(),
		Receiver: who.Provider.Address(), ReceiverAuthorizer: who.Provider.Address(), Salt: market.Hash{0: 9},
	}
	if c.ID != 0 {
		cfg.Payer, cfg.Receiver, cfg.Token = market.Address{1}, market.Address{2}, market.Address{3}
		cfg.WithdrawDelay = 14 * 24 * 3600
	}
	return cfg
}

func addReceipts(p Plan, who Parties, q market.Quote, lease market.Hash, b *market.Bundle) {
	var before market.Receipt
	for i, units := range p.Units {
		r := market.Receipt{Lease: lease, Seq: before.Seq + 1, Units: units, Charged: q.Charge(units)}
		body := market.Body{CPUMillis: int64(units)} //nolint:gosec // small
		if before.Seq > 0 {
			r.Previous = before.Hash()
		}
		if i == len(p.Units)-1 {
			r.Outcome = p.Outcome
			zero := 0
			body.Cause, body.ExitCode = "exited", &zero
		}
		if r.Outcome == market.ProviderFailed {
			r.Charged = before.Charged
		}
		block := Must(body.Encode())
		r.BodyHash = market.BlockHash(block)
		signed := SignReceipt(p.Chain, who.Provider, r)
		signed.Body = block
		if i < p.Countersigned {
			signed.Client = Sign(who.Client, p.Chain.Digest(r.Hash()))
		}
		b.Receipts = append(b.Receipts, signed)
		b.Vouchers = append(b.Vouchers, SignVoucher(p.Chain, who.Client, market.Voucher{Channel: q.Channel, Max: r.Charged.Add(q.TickPrice)}))
		before = r
	}
}

// SignReceipt is r with the provider's signature and no body.
func SignReceipt(c market.Chain, provider *market.Signer, r market.Receipt) market.SignedReceipt {
	return market.SignedReceipt{Block: r.Encode(), Provider: Sign(provider, c.Digest(r.Hash()))}
}

// SignVoucher is v with the client's signature.
func SignVoucher(c market.Chain, client *market.Signer, v market.Voucher) market.SignedVoucher {
	return market.SignedVoucher{Block: v.Encode(), Signature: Sign(client, c.VoucherDigest(v))}
}

// Sign signs a digest.
func Sign(s *market.Signer, digest market.Hash) market.Signature { return Must(s.Sign(digest)) }

// Module is the CID of a module that doesn't exist.
func Module() cid.Cid {
	return Must(cid.Prefix{Version: 1, Codec: cid.Raw, MhType: 0x12, MhLength: 32}.Sum([]byte("module")))
}

// Must is v, where err is nil.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
