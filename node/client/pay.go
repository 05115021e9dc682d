package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// paid is what may be sent after a countersignature is in the books.
type paid struct {
	lease     ledger.Lease
	signature market.Signature
	voucher   *pb.Voucher
	capped    error // a cap in money kept the voucher where it was
}

// pay countersigns a checked receipt: in one durable write the receipt with
// both signatures, what is due, and the voucher raised to what is needed.
// Only what it returns may be sent. A job that was cancelled prepays no
// further tick.
func (e *Engine) pay(ctx context.Context, l ledger.Lease, q market.Quote, t market.Terms, c checked) (p paid, err error) {
	if p.signature, err = e.signer.Sign(e.chain.Digest(c.receipt.Hash())); err != nil {
		return p, err
	}
	c.record.ClientSignature = p.signature[:]
	p.lease, err = e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		if c.receipt.Seq != l.Countersigned.Seq+1 || !l.State.Live() {
			return wire.Refuse(wire.WrongState, "receipt %d isn't the one to countersign, after %d, while %s", c.receipt.Seq, l.Countersigned.Seq, l.State)
		}
		ch, err := tx.Channel(ledger.Client, l.Channel)
		if err != nil {
			return err
		}
		ch.Due = ch.Due.Add(c.receipt.Charged.Sub(l.Countersigned.Charged))
		ch.Signed = ch.Signed.Add(c.receipt.Charged.Sub(l.Newest.Charged))
		count(l, q, t, c.receipt)
		if err := errors.Join(tx.PutReceipt(ledger.Client, c.record), putLease(tx, *l)); err != nil {
			return err
		}
		raised, err := e.raise(tx, ch)
		if wire.IsCode(err, wire.Credit) {
			p.capped, raised = err, ch
			err = tx.PutChannel(ch)
		}
		l.Raised = l.Raised.Add(raised.Voucher.Sub(ch.Voucher))
		p.voucher = voucherProto(raised)
		return errors.Join(err, e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Receipts++ }))
	})
	return p, err
}

// count moves a lease's marks on to a countersigned receipt.
func count(l *ledger.Lease, q market.Quote, t market.Terms, r market.Receipt) {
	ended, prepay := r.Outcome != market.NotEnded, t.PrepayTicks
	if l.Cancelled {
		prepay = 0
	}
	l.Countersigned = markOf(r)
	l.Newest = l.Countersigned
	l.Paid = market.MaxAmount(r.Charged, q.Part(r.Charged, prepay, ended))
	if ended {
		l.Outcome = r.Outcome
	}
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

// Evidence is what is kept of a provider that signed what can't be honest.
type Evidence struct {
	Lease    market.Hash      `json:"lease"`
	Peer     string           `json:"peer"`
	Code     string           `json:"code"` // market.FaultCode
	Sentence string           `json:"sentence"`
	Receipts []ledger.Receipt `json:"receipts"`
	At       uint64           `json:"at"` // Unix ms
}

func evidenceName(lease market.Hash) string { return "client/evidence/" + lease.Hex() }

// Evidence gives what is kept against the provider of a lease;
// ledger.ErrNotFound where there is nothing.
func (e *Engine) Evidence(ctx context.Context, lease market.Hash) (ev Evidence, err error) {
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		ev, err = evidence(tx, lease)
		return err
	})
	return ev, err
}

func evidence(tx *ledger.Tx, lease market.Hash) (ev Evidence, err error) {
	raw, err := tx.Meta(evidenceName(lease))
	if err != nil {
		return ev, err
	}
	return ev, json.Unmarshal(raw, &ev)
}

// endCheated ends a lease over a document that can't be honest. Nothing more
// is countersigned or vouchered, the evidence is kept, and the provider is
// never chosen again.
func (e *Engine) endCheated(ctx context.Context, l ledger.Lease, c *cheat) (ledger.Lease, error) {
	return e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.State == market.Closed {
			return nil
		}
		raw, err := json.Marshal(Evidence{
			Lease: l.Hash, Peer: l.Peer, Code: string(c.code), Sentence: c.sentence, Receipts: c.evidence, At: e.nowMillis(),
		})
		if err != nil {
			return err
		}
		e.close(l, market.ProviderFailed, c.sentence)
		return errors.Join(
			tx.PutMeta(evidenceName(l.Hash), raw),
			e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Cheated++; p.LastFault = c.sentence }),
		)
	})
}

// abandon ends a lease whose provider can't be reached, or doesn't do what it
// signed. Its part of the voucher counts as spent.
func (e *Engine) abandon(ctx context.Context, l ledger.Lease, why string) (ledger.Lease, error) {
	return e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.State == market.Closed {
			return nil
		}
		l.Lost = true
		e.close(l, l.Outcome, why)
		return e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Failed++; p.LastFault = why })
	})
}

// withhold ends a lease whose provider names outputs that it doesn't give. Its
// last receipt is in the books, and stays without countersignature.
func (e *Engine) withhold(ctx context.Context, l ledger.Lease, why string) (ledger.Lease, error) {
	return e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.State == market.Closed {
			return nil
		}
		e.close(l, market.ProviderFailed, why)
		return e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Failed++; p.LastFault = why })
	})
}

// close marks a lease as ended on this side, without the provider's consent.
func (e *Engine) close(l *ledger.Lease, o market.Outcome, why string) {
	l.State, l.Outcome, l.Reason, l.Ended = market.Closed, o, why, e.nowMillis()
}

// closeWell closes a lease whose last receipt is countersigned.
func (e *Engine) closeWell(ctx context.Context, h market.Hash, reason string) (ledger.Lease, error) {
	return e.change(ctx, h, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.State == market.Closed {
			return nil
		}
		if l.Outcome == market.NotEnded {
			return fmt.Errorf("lease %s has no last receipt", l.Hash)
		}
		l.State, l.Reason, l.Ended = market.Closed, reason, e.nowMillis()
		if err := e.measure(tx, *l); err != nil {
			return err
		}
		return e.editPeer(tx, l.Peer, func(p *ledger.Peer) {
			p.Paid = p.Paid.Add(l.Countersigned.Charged)
			switch l.Outcome {
			case market.Succeeded, market.JobFailed:
				p.Good++
			case market.ProviderFailed:
				p.Failed++
				p.LastFault = reason
			}
		})
	})
}
