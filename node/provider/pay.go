package provider

import (
	"context"
	"errors"

	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// countersigned takes the client's signature on a receipt and the voucher
// that came with it; both are on disk when it returns. Either may be old.
func (l *lease) countersigned(ctx context.Context, m *pb.Countersign) error {
	sig, err := market.SignatureFrom(m.GetClientSignature())
	if err != nil {
		return wire.Malformed("%v", err)
	}
	voucher, vsig, err := l.voucher(m.GetVoucher())
	if err != nil {
		return wire.Malformed("%v", err)
	}
	closed, raised := false, false
	err = l.update(ctx, func(tx *ledger.Tx, rec *ledger.Lease) error {
		ch, err := tx.Channel(ledger.Provider, l.channel)
		if err != nil {
			return err
		}
		if voucher != nil {
			raised = ch.Voucher.Less(voucher.Max)
			if ch, err = raise(tx, ch, *voucher, vsig, l.p.nowMillis()); err != nil {
				return err
			}
		}
		before := rec.Countersigned.Seq
		closed, err = l.credit(tx, rec, ch, m.GetSeq(), sig)
		if err == nil && !raised && rec.Countersigned.Seq == before {
			return errUnchanged
		}
		return err
	})
	if err == nil && closed {
		l.close()
	}
	if err == nil && raised {
		l.p.wakeOthers(l)
	}
	return stored(err)
}

func (l *lease) voucher(m *pb.Voucher) (*market.Voucher, market.Signature, error) {
	if m == nil {
		return nil, market.Signature{}, nil
	}
	parties := leases.Parties{Chain: l.p.chain, Provider: l.p.Address(), Client: l.quote.Client}
	v, sig, err := leases.ReadVoucher(m, parties, l.channel)
	return &v, sig, err
}

// credit books the client's signature on receipt seq, and closes the lease
// with that on its last one.
func (l *lease) credit(tx *ledger.Tx, rec *ledger.Lease, ch ledger.Channel, seq uint32, sig market.Signature) (closed bool, err error) {
	r, err := tx.Receipt(ledger.Provider, l.hash, seq)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, wire.Malformed("no receipt %d was sent", seq)
	}
	if err != nil {
		return false, err
	}
	doc, err := market.DecodeReceipt(r.Block)
	if err != nil {
		return false, err
	}
	if err := sig.Verify(l.p.chain.Digest(doc.Hash()), l.quote.Client); err != nil {
		return false, wire.Malformed("receipt %d: %v", seq, err)
	}
	if seq <= rec.Countersigned.Seq {
		return false, nil
	}
	r.ClientSignature = sig[:]
	ch.Due = ch.Due.Add(doc.Charged).Sub(rec.Countersigned.Charged)
	rec.Countersigned = ledger.Mark{Seq: seq, Hash: doc.Hash(), Units: doc.Units, Charged: doc.Charged}
	if err := errors.Join(tx.PutReceipt(ledger.Provider, r), tx.PutChannel(ch)); err != nil {
		return false, err
	}
	if doc.Outcome == market.NotEnded {
		return false, nil
	}
	if rec.State == market.Closed { // nobody waited for it any more; it counts all the same
		return false, l.remember(tx, *rec)
	}
	if rec.State, err = market.Next(rec.State, market.Close, l.moment()); err != nil {
		return false, err
	}
	return true, l.remember(tx, *rec)
}

// remember counts a settled lease in the client's favour. One that cost
// nothing earns nothing: credit and holds would be had for free.
func (l *lease) remember(tx *ledger.Tx, rec ledger.Lease) error {
	p, err := tx.Peer(rec.Peer)
	if errors.Is(err, ledger.ErrNotFound) {
		p, err = ledger.Peer{ID: rec.Peer}, nil
	}
	if err != nil {
		return err
	}
	switch rec.Outcome {
	case market.Succeeded, market.JobFailed:
		p.Good++
	case market.ProviderFailed:
		p.Failed++
	}
	if !rec.Countersigned.Charged.IsZero() {
		p.Receipts += uint64(rec.Countersigned.Seq)
	}
	p.Paid = p.Paid.Add(rec.Countersigned.Charged)
	p.SeenAt = l.p.nowMillis()
	return tx.PutPeer(p)
}

// wakeOthers tells the leases on the same channel that its voucher rose.
func (p *Provider) wakeOthers(l *lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.leases {
		if other != l && other.channel == l.channel {
			other.wake()
		}
	}
}

// close lets go of a settled lease. Its outputs stay until keepUntil.
func (l *lease) close() {
	rec, _, _ := l.snapshot()
	l.p.freeChanged()
	l.p.Notify(Event{At: l.p.Now(), Kind: Paid, Peer: l.peer.String(), Lease: l.hash.Hex(), Outcome: rec.Outcome.String(), Charged: &rec.Countersigned.Charged})
}
