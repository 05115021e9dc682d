package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// paid is what may be sent after a countersignature is in the books.
type paid struct {
	lease     ledger.Lease
	signature market.Signature
	voucher   *pb.Voucher
	capped    error // a cap in money kept the voucher where it was
}

// edit changes a lease inside a write, and what belongs to it.
type edit func(tx *ledger.Tx, l *ledger.Lease) error

// pay countersigns a checked receipt, after the edits and in one durable write
// with them. Only what it returns may be sent.
func (e *Engine) pay(ctx context.Context, l ledger.Lease, q market.Quote, t market.Terms, c books.Checked, before ...edit) (p paid, err error) {
	p.lease, err = e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		for _, first := range before {
			if err := first(tx, l); err != nil {
				return err
			}
		}
		ch, err := tx.Channel(ledger.Client, l.Channel)
		if err != nil {
			return err
		}
		a, err := e.account(tx, ch, *l)
		if err != nil {
			return err
		}
		w, err := e.side.Pay(a, *l, q, t, c, e.nowMillis())
		if err != nil {
			return err
		}
		p.signature, p.voucher, p.capped = w.Signature, voucherProto(*w.Channel), w.Capped
		return errors.Join(w.StoreBut(tx, l), e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Receipts++ }))
	})
	return p, err
}

// receipt reads one receipt of a lease.
func (e *Engine) receipt(ctx context.Context, lease market.Hash, seq uint32) (r ledger.Receipt, err error) {
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		r, err = tx.Receipt(ledger.Client, lease, seq)
		return err
	})
	return r, err
}

// voucher is a channel's highest voucher as it travels.
func (e *Engine) voucher(ctx context.Context, channel market.Hash) (v *pb.Voucher, err error) {
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		ch, err := tx.Channel(ledger.Client, channel)
		v = voucherProto(ch)
		return err
	})
	return v, err
}

// endCheated ends a lease over a document that can't be honest. Nothing more
// is countersigned or vouchered, the evidence is kept, and the provider is
// never chosen again.
func (e *Engine) endCheated(ctx context.Context, l ledger.Lease, c *books.Cheat) (ledger.Lease, error) {
	return e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.State == market.Closed {
			return nil
		}
		*l = books.Break(*l, market.ProviderFailed, c.Sentence, e.nowMillis())
		return e.accuse(tx, *l, c)
	})
}

// accuse keeps the evidence against the provider of a lease.
func (e *Engine) accuse(tx *ledger.Tx, l ledger.Lease, c *books.Cheat) error {
	raw, err := json.Marshal(Evidence{
		Lease: l.Hash, Peer: l.Peer, Code: string(c.Code), Sentence: c.Sentence, Receipts: c.Evidence, At: e.nowMillis(),
	})
	if err != nil {
		return err
	}
	return errors.Join(
		tx.PutMeta(evidenceName(l.Hash), raw),
		e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Cheated++; p.LastFault = c.Sentence }),
	)
}

// abandon ends a lease whose provider can't be reached (silence), or doesn't do
// what it signed. Its part of the voucher counts as spent. Before anything else
// is signed on its channel the provider is asked what came of it.
func (e *Engine) abandon(ctx context.Context, l ledger.Lease, why string, silence bool) (ledger.Lease, error) {
	defer e.askAnew(l.Peer)
	return e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.State == market.Closed {
			return nil
		}
		*l = books.GiveUp(*l, why, e.nowMillis())
		err := e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Failed++; p.LastFault = why })
		if !silence || l.Unproven {
			return err
		}
		return errors.Join(err, editDisputes(tx, l.Peer, func(d *disputes) {
			d.set(disputed{Lease: l.Hash, Silence: true, At: e.nowMillis()})
		}))
	})
}

// askAnew has the channel's status exchanged again before anything is signed.
func (e *Engine) askAnew(id string) {
	if p, err := peer.Decode(id); err == nil {
		e.books.askAgain(p)
	}
}

// withhold ends a lease whose provider names outputs that it doesn't give. Its
// last receipt is in the books, and stays without countersignature.
func (e *Engine) withhold(ctx context.Context, l ledger.Lease, why string) (ledger.Lease, error) {
	defer e.askAnew(l.Peer)
	return e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.State == market.Closed {
			return nil
		}
		*l = books.Break(*l, market.ProviderFailed, why, e.nowMillis())
		return e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Failed++; p.LastFault = why })
	})
}

// closeWell closes a lease whose last receipt is countersigned. One that is
// blameless counts neither for its provider nor against it, as long as no other
// runs the job.
func (e *Engine) closeWell(ctx context.Context, h market.Hash, reason string, blameless bool) (ledger.Lease, error) {
	return e.change(ctx, h, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.State == market.Closed {
			return nil
		}
		if l.Outcome == market.NotEnded {
			return fmt.Errorf("lease %s has no last receipt", l.Hash)
		}
		*l = books.Break(*l, l.Outcome, reason, e.nowMillis())
		if err := errors.Join(e.measure(tx, *l), e.refute(tx, *l)); err != nil {
			return err
		}
		return e.editPeer(tx, l.Peer, func(p *ledger.Peer) {
			p.Paid = p.Paid.Add(l.Countersigned.Charged)
			switch {
			case l.Outcome == market.Succeeded, l.Outcome == market.JobFailed:
				p.Good++
			case l.Outcome == market.ProviderFailed && !blameless:
				p.Failed++
				p.LastFault = reason
			}
		})
	})
}
