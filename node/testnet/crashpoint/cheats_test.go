package crashpoint_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/node/client"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// What a provider does that is no honest one.

// caught finds that its devices err, so that nothing of it is countersigned.
func (w *world) caught() {
	w.seller.cores.wrong.Store(true)
	w.job(want{name: "caught", edit: onGPU})
}

// withheld gets no outputs from the provider, and has the next one run the job.
func (w *world) withheld() {
	w.net.meddleWith(func(s *memStream, m proto.Message) proto.Message {
		if a, ok := m.(*pb.BlobAnswer); ok && s.host.id == w.seller.id && a.GetBlocks() != nil {
			return &pb.BlobAnswer{Answer: &pb.BlobAnswer_End{End: &pb.BlobEnd{}}}
		}
		return m
	})
	w.job(want{name: "withheld"})
	w.net.meddleWith(nil)
}

// twoOfRelief has the other provider sign two receipts with one number.
func (w *world) twoOfRelief() {
	w.net.meddleWith(w.twice(w.relief))
	w.job(want{name: "two", edit: here(w.relief)})
}

// twoLate has the provider do so when a broken lease is paid late.
func (w *world) twoLate() {
	w.net.meddleWith(w.twice(w.seller))
	w.job(want{name: "late", edit: here(w.seller)})
}

// twice makes each later receipt of a provider another first one.
func (w *world) twice(s *seller) meddler {
	return func(from *memStream, m proto.Message) proto.Message {
		e, ok := m.(*pb.RunEvent)
		if !ok || from.host.id != s.id {
			return m
		}
		signed := e.GetTick().GetReceipt()
		if signed == nil {
			signed = e.GetDone().GetReceipt()
		}
		r, err := market.DecodeReceipt(signed.GetReceipt())
		if err != nil || r.Seq < 2 {
			return m
		}
		r.Seq, r.Previous, r.Outcome = 1, market.Hash{}, market.NotEnded
		other := &pb.Receipt{Receipt: r.Encode(), ProviderSignature: w.signed(s, r.Hash()), Body: signed.GetBody()}
		return &pb.RunEvent{Event: &pb.RunEvent_Tick{Tick: &pb.Tick{Receipt: other}}}
	}
}

// signed is a provider's signature on a document.
func (w *world) signed(s *seller, h market.Hash) []byte {
	signer, err := market.NewSigner(s.key)
	assert.NoError(w.t, err)
	sig, err := signer.Sign(market.NoChain(networkName).Digest(h))
	assert.NoError(w.t, err)
	return sig[:]
}

// accused is an end at which what was ever written down against a provider still
// stands, after whatever crash, and keeps it from being leased.
func (w *world) accused() {
	w.timeOver()
	against, cheats := w.accusations()
	if w.wrote("client.(*Engine).endCheated") || w.wrote("client.(*latePayment).take") {
		require.NotZero(w.t, against, "the evidence is lost")
		require.NotZero(w.t, cheats, "who cheated isn't known any more")
	}
	if w.wrote("client.(*Engine).recordCaught") {
		require.NotZero(w.t, cheats, "who was caught isn't known any more")
	}
}

// accusations counts leases with evidence, and providers that cheated. Nobody is
// asked to pay for such a lease, and its provider gets no further one.
func (w *world) accusations() (against, cheats int) {
	require.NoError(w.t, w.buyer.ledger.View(context.Background(), func(tx *ledger.Tx) error {
		for p, err := range tx.Peers() {
			if err != nil {
				return err
			}
			if p.Cheated > 0 {
				cheats++
			}
		}
		for l, err := range tx.Leases(ledger.Client) {
			if err != nil {
				return err
			}
			if ev, err := w.buyer.engine.Evidence(context.Background(), l.Hash); err == nil {
				against++
				require.NoError(w.t, w.shunned(tx, ev))
			}
		}
		return nil
	}))
	return against, cheats
}

// shunned says what evidence was of no consequence for.
func (w *world) shunned(tx *ledger.Tx, ev client.Evidence) error {
	for l, err := range tx.Leases(ledger.Client) {
		if err != nil {
			return err
		}
		if l.Peer == ev.Peer && l.Hash != ev.Lease && l.Created >= ev.At {
			return fmt.Errorf("lease %s was given to a provider that had cheated", l.Hash)
		}
	}
	all, err := w.buyer.engine.Disputes(context.Background())
	if slices.ContainsFunc(all, func(d client.DisputeInfo) bool { return d.Lease == ev.Lease.Hex() }) {
		err = fmt.Errorf("lease %s of a cheat is in dispute", ev.Lease)
	}
	return err
}

// wrote tells that a write of the client was done in any of its lives.
func (w *world) wrote(what string) bool {
	return slices.ContainsFunc(w.lives["client"], func(f *fate) bool {
		return slices.ContainsFunc(f.points(), func(p point) bool { return p.moment == "after" && p.what == "write "+what })
	})
}
