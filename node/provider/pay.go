package provider

import (
	"context"
	"errors"

	"souk/node/books"
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
	voucher, err := l.voucher(m.GetVoucher())
	if err != nil {
		return wire.Malformed("%v", err)
	}
	var t books.Taken
	err = l.update(ctx, func(tx *ledger.Tx, rec *ledger.Lease) (err error) {
		t, err = l.taken(tx, *rec, books.Countersignature{Seq: m.GetSeq(), Signature: sig, Voucher: voucher})
		if err != nil {
			return err
		}
		if !t.Changed() {
			return errUnchanged
		}
		return t.StoreBut(tx, rec)
	})
	if err == nil && t.Closed {
		l.close()
	}
	if err == nil && t.Raised {
		l.p.wakeOthers(l)
	}
	return stored(err)
}

func (l *lease) voucher(m *pb.Voucher) (*books.Voucher, error) {
	if m == nil {
		return nil, nil //nolint:nilnil // none came
	}
	parties := leases.Parties{Chain: l.p.chain, Provider: l.p.Address(), Client: l.quote.Client}
	v, sig, err := leases.ReadVoucher(m, parties, l.channel)
	return &books.Voucher{Voucher: v, Signature: sig}, err
}

// taken decides on the client's signature on a receipt, and counts a settled
// lease in the client's favour.
func (l *lease) taken(tx *ledger.Tx, rec ledger.Lease, c books.Countersignature) (t books.Taken, err error) {
	ch, err := tx.Channel(ledger.Provider, l.channel)
	if err != nil {
		return t, err
	}
	var known *ledger.Receipt
	r, err := tx.Receipt(ledger.Provider, l.hash, c.Seq)
	switch {
	case err == nil:
		known = &r
	case !errors.Is(err, ledger.ErrNotFound):
		return t, err
	}
	t, err = l.p.side.Countersigned(rec, ch, l.quote.Client, known, c, l.p.nowMillis())
	if errors.Is(err, books.ErrNoReceipt) && !l.p.reconciled(l.account()) { // a restored backup lacks it
		return t, wire.Refuse(wire.NotReconciled, "this provider doesn't know receipt %d (any more); ask for the channel's status first", c.Seq)
	}
	if errors.Is(err, books.ErrNoReceipt) || errors.Is(err, market.ErrSignature) {
		return t, wire.Malformed("%v", err)
	}
	if err == nil && t.Settled {
		err = l.p.remember(tx, *t.Lease)
	}
	return t, err
}

// remember counts a settled lease in the books on its client.
func (p *Provider) remember(tx *ledger.Tx, rec ledger.Lease) error {
	client, err := tx.Peer(rec.Peer)
	if errors.Is(err, ledger.ErrNotFound) {
		client, err = ledger.Peer{ID: rec.Peer}, nil
	}
	if err != nil {
		return err
	}
	return tx.PutPeer(books.Remember(client, rec, p.nowMillis()))
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
