package client

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// DisputeInfo is a lease of which its provider demands what this node hasn't
// countersigned.
type DisputeInfo struct {
	Lease    string        `json:"lease"`
	Peer     string        `json:"peer"`
	Job      string        `json:"job,omitempty"`
	Owed     market.Amount `json:"owed"`     // beyond what was countersigned
	Obstacle bool          `json:"obstacle"` // the provider gives no lease before it is paid
	Left     bool          `json:"left"`     // a person won't pay it
	Why      string        `json:"why"`      // this node didn't pay it, one sentence
	At       time.Time     `json:"at"`
}

// Disputes lists what providers demand and this node hasn't countersigned.
func (e *Engine) Disputes(ctx context.Context) (all []DisputeInfo, err error) {
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for ch, err := range tx.Channels(ledger.Client) {
			if err != nil {
				return err
			}
			d, err := readDisputes(tx, ch.Peer)
			if err != nil {
				return err
			}
			for _, x := range d.Leases {
				if x.Owed.IsZero() {
					continue
				}
				l, err := tx.Lease(ledger.Client, x.Lease)
				if err != nil {
					return err
				}
				all = append(all, DisputeInfo{
					Lease: x.Lease.Hex(), Peer: ch.Peer, Job: l.JobID, Owed: x.Owed, Obstacle: x.Obstacle, Left: x.Left, Why: x.Why, At: timeOf(x.At),
				})
			}
		}
		return nil
	})
	return all, err
}

// inDispute finds what is owed for a lease; a *wire.Refusal where nothing is.
func (e *Engine) inDispute(ctx context.Context, lease market.Hash) (l ledger.Lease, x disputed, err error) {
	l, x, err = e.disputed(ctx, lease)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && x.Owed.IsZero() {
		err = wire.Refuse(wire.WrongState, "nothing is in dispute over lease %s", shortLease(lease)).Near("`souk receipts disputed` shows what is")
	}
	return l, x, err
}

// PayDisputed countersigns, because a person says so, what the provider demands
// for a lease, if that is no more than most beyond what was countersigned. It
// returns nil once the provider has it.
func (e *Engine) PayDisputed(ctx context.Context, lease market.Hash, most market.Amount) error {
	l, x, err := e.inDispute(ctx, lease)
	if err != nil {
		return err
	}
	if most.Less(x.Owed) {
		return wire.Refuse(wire.BadRequest, "%s USD is owed for lease %s, that is more than %s", usd(x.Owed), shortLease(lease), usd(most)).Near("`souk receipts pay %s %s`", shortLease(lease), usd(x.Owed))
	}
	if _, err := e.Evidence(ctx, lease); !errors.Is(err, ledger.ErrNotFound) {
		return errors.Join(err, wire.Refuse(Cheated, "its provider signed what can't be honest, and is not leased from again; there is nothing to pay"))
	}
	charge := l.Countersigned.Charged.Add(most) // what is countersigned meanwhile comes off what was agreed to
	p, err := peer.Decode(l.Peer)
	if err == nil {
		err = e.connectKnown(ctx, p)
	}
	if err == nil {
		err = e.reconcile(ctx, p)
	}
	if err != nil {
		return wire.Refuse(NoProvider, "the provider can't be asked now, so nothing was paid: %v", err)
	}
	if l, x, err = e.inDispute(ctx, lease); err != nil {
		return unless(err, wire.WrongState) // what was exchanged has settled it
	}
	err = e.payLate(ctx, p, l, market.Receipt{Seq: x.Seq}, leave{most: &charge})
	var no *notPaid
	switch {
	case errors.As(err, &no):
		return errors.Join(e.dispute(ctx, lease, no.receipt, no.why), wire.Refuse(Disputed, "it is not paid: %s", no.why))
	case err != nil && !isLedger(err):
		return e.halfPaid(ctx, l, err)
	}
	return err
}

// unless is the error, nil if it is a refusal with that code.
func unless(err error, code wire.Code) error {
	if wire.IsCode(err, code) {
		return nil
	}
	return err
}

// halfPaid says what came of a payment that broke off.
func (e *Engine) halfPaid(ctx context.Context, l ledger.Lease, why error) error {
	e.cfg.Log.Debug("a late payment broke off", "lease", l.Hash, "err", why)
	e.askAnew(l.Peer)
	if _, _, err := e.inDispute(ctx, l.Hash); err != nil {
		return unless(err, wire.WrongState) // it is countersigned; the provider is told again before the next lease
	}
	return wire.Refuse(NoProvider, "the provider didn't answer to the end, so it is not paid: %v", why)
}

// LeaveDisputed notes that a person won't pay what the provider demands for a
// lease. Providers that it keeps from leasing are then left out without a word.
func (e *Engine) LeaveDisputed(ctx context.Context, lease market.Hash) error {
	l, x, err := e.inDispute(ctx, lease)
	if err != nil {
		return err
	}
	return e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		return editDisputes(tx, l.Peer, func(d *disputes) {
			x.Left = true
			d.set(x)
		})
	})
}
