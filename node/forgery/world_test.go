package forgery

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	lcrypto "github.com/libp2p/go-libp2p/core/crypto"

	"souk/node/books"
	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/pb"
)

// world is one honest lease, and a stranger who would like to have a part in it.
type world struct {
	rng      *rand.Rand
	b        market.Bundle
	provider *market.Signer
	client   *market.Signer
	stranger *market.Signer
	parties  leases.Parties
	quote    market.Quote
	terms    market.Terms
	lease    market.Lease
	receipts []market.Receipt
	at       int // the receipt that comes next; those before are countersigned
}

// newWorld draws one from a seed.
func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 41))}
	plan := markettest.Plan{
		Network: fmt.Sprintf("net-%d", w.rng.IntN(1000)), TickPrice: 100 + w.rng.Uint64N(1<<40), MaxTicks: 20 + w.rng.Uint32N(1000),
		MinCharge: w.rng.Uint64N(100), Job: fmt.Sprintf("job-%d", w.rng.Uint64()),
	}
	if w.rng.IntN(2) == 0 {
		plan.Chain = market.Chain{ID: 1 + w.rng.Uint64N(1<<32), Contract: market.Address{byte(w.rng.UintN(256)), 1}}
	}
	for n, units := 4+w.rng.IntN(4), uint64(0); len(plan.Units) < n; {
		units += 300 + w.rng.Uint64N(700)
		plan.Units = append(plan.Units, units)
	}
	w.at = 2 + w.rng.IntN(len(plan.Units)-3)
	plan.Countersigned = len(plan.Units)
	who := markettest.Standard()
	w.b, w.provider, w.client, w.stranger = markettest.Bundle(plan), who.Provider, who.Client, markettest.Signer(byte(3+w.rng.IntN(250)))
	w.quote, w.terms = markettest.Must(market.DecodeQuote(w.b.Quote)), markettest.Must(market.DecodeTerms(w.b.Terms))
	w.lease = markettest.Must(market.DecodeLease(w.b.Lease))
	w.parties = leases.Parties{Chain: w.b.Chain, Provider: w.provider.Address(), Client: w.client.Address()}
	for _, r := range w.b.Receipts {
		w.receipts = append(w.receipts, markettest.Must(market.DecodeReceipt(r.Block)))
	}
	return w
}

// key is the libp2p key of the provider (1), the client (2) or a stranger.
func key(seed byte) lcrypto.PrivKey {
	return markettest.Must(lcrypto.UnmarshalSecp256k1PrivateKey(bytes.Repeat([]byte{seed}, 32)))
}

func (w *world) sign(by *market.Signer, hash market.Hash) []byte {
	s := markettest.Sign(by, w.b.Chain.Digest(hash))
	return s[:]
}

func (w *world) otherNetwork() market.Chain { return market.NoChain(w.b.Network + "x") }

func (w *world) otherChain() market.Chain {
	return market.Chain{ID: w.b.Chain.ID + 1 + w.rng.Uint64N(100), Contract: w.b.Chain.Contract}
}

func (w *world) next() market.Receipt { return w.receipts[w.at] }

// cut is a block without its end, and padded one with more.
func (w *world) cut(b []byte) []byte { return b[:w.rng.IntN(len(b))] }

func (w *world) padded(b []byte) []byte {
	return append(bytes.Clone(b), make([]byte, 1+w.rng.IntN(64))...)
}

// ask is the client's question for the quote.
func (w *world) ask() *pb.QuoteRequest {
	cfg := markettest.Must(market.DecodeChannelConfig(w.b.ChannelConfig))
	return &pb.QuoteRequest{
		Request: w.b.Request, ChainId: w.b.Chain.ID, Contract: w.b.Chain.Contract[:], Payer: cfg.Payer[:], Token: cfg.Token[:], Salt: cfg.Salt[:],
	}
}

// accept is the client's acceptance with its first voucher.
func (w *world) accept() *pb.Accept {
	return &pb.Accept{
		Quote: w.b.Quote, QuoteSignature: bytes.Clone(w.b.QuoteSignature[:]), Terms: w.b.Terms, Lease: w.b.Lease,
		ClientSignature: bytes.Clone(w.b.ClientSignature[:]), ChannelConfig: w.b.ChannelConfig, Job: w.b.Job, Voucher: w.voucher(),
	}
}

func (w *world) voucher() *pb.Voucher {
	v := w.b.Vouchers[0]
	return &pb.Voucher{Voucher: v.Block, Signature: bytes.Clone(v.Signature[:])}
}

func (w *world) signedVoucher(v market.Voucher) *pb.Voucher {
	s := markettest.SignVoucher(w.b.Chain, w.client, v)
	return &pb.Voucher{Voucher: s.Block, Signature: s.Signature[:]}
}

// documents are the lease as either side shows it.
func (w *world) documents() *pb.LeaseDocuments {
	a := w.accept()
	return &pb.LeaseDocuments{
		Quote: a.Quote, QuoteSignature: a.QuoteSignature, Terms: a.Terms, Lease: a.Lease, ClientSignature: a.ClientSignature,
		ProviderSignature: bytes.Clone(w.b.ProviderSignature[:]), Job: a.Job,
	}
}

// shown is the next receipt, countersigned, as either side shows it.
func (w *world) shown() *pb.Receipt {
	r := w.b.Receipts[w.at]
	return &pb.Receipt{Receipt: r.Block, Body: r.Body, ProviderSignature: bytes.Clone(r.Provider[:]), ClientSignature: bytes.Clone(r.Client[:])}
}

// record is the next receipt in a provider's books.
func (w *world) record() *ledger.Receipt {
	r := w.b.Receipts[w.at]
	return &ledger.Receipt{Lease: w.lease.Hash(), Seq: w.next().Seq, Block: r.Block, ProviderSignature: r.Provider[:], Body: r.Body}
}

// books are a side's records when the next receipt comes.
func (w *world) books(role ledger.Role) (ledger.Lease, ledger.Channel) {
	before := books.MarkOf(w.receipts[w.at-1])
	l := ledger.Lease{Hash: w.lease.Hash(), Role: role, Channel: w.quote.Channel, State: market.Running, Newest: before, Countersigned: before}
	ch := ledger.Channel{ID: w.quote.Channel, Role: role, Voucher: w.quote.Ceiling(), Due: before.Charged, Signed: before.Charged}
	return l, ch
}
