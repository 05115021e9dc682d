package client

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

const (
	// maxLate bounds the leases that one exchange of status catches up with. Those
	// that wait for a person's decision, or whose provider broke off, come after
	// all others.
	maxLate = 16
	// catchUpTime is how long into an exchange a conversation on one of them may
	// begin. It leaves the last one its time before maxReconcile.
	catchUpTime = maxReconcile / 2
)

// shownLeases is how leases stand at their provider, as it shows them; without
// those that are paid to the end.
type shownLeases map[market.Hash]shownLease

type shownLease struct {
	newest market.Receipt // zero: it showed none
	signed bool           // by this node too
}

// note notes a lease that stands in this node's books as known, if at all.
func (s shownLeases) note(d books.Shown, known ledger.Lease) {
	was := s[d.Lease.Hash]
	if d.Receipt != nil && d.Receipt.Lease == d.Lease.Hash && d.Receipt.Seq > was.newest.Seq {
		was = shownLease{newest: *d.Receipt, signed: len(d.Signed.ClientSignature) > 0}
	}
	if was.signed && was.newest.Outcome != market.NotEnded && was.newest.Seq == known.Countersigned.Seq {
		return
	}
	s[d.Lease.Hash] = was
}

// catchUp goes on with the leases that this node closed by itself and that are
// not paid to the end, or not to the provider's knowledge. What it may pay
// without asking anybody it pays; the rest is put down as in dispute. A provider
// that doesn't answer for one of them is asked again when the status is next
// exchanged: after a restart, another lost lease, or a refusal for want of cover.
func (e *Engine) catchUp(ctx context.Context, p peer.ID, seen shownLeases) error {
	late, err := e.late(ctx, p, seen)
	until := e.cfg.Clock.Mono() + catchUpTime
	for err == nil && len(late) > 0 && e.cfg.Clock.Mono() < until {
		var refused []market.Hash
		if refused, err = e.catchUpWithAll(ctx, p, late, seen, until); len(refused) == len(late) {
			break
		}
		late = refused // what was prepaid for those that are paid now may cover it
	}
	return err
}

func (e *Engine) catchUpWithAll(ctx context.Context, p peer.ID, late []market.Hash, seen shownLeases, until time.Duration) (refused []market.Hash, err error) {
	for _, h := range late {
		if e.cfg.Clock.Mono() >= until {
			break
		}
		paid, err := e.catchUpWith(ctx, p, h, seen[h])
		if err != nil {
			return nil, err
		}
		if !paid {
			refused = append(refused, h)
		}
	}
	return refused, nil
}

// late are those leases, as many as are gone on with at once, and forgets the disputes that are none any more.
func (e *Engine) late(ctx context.Context, p peer.ID, seen shownLeases) ([]market.Hash, error) {
	var late []lateLease
	err := e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		d, err := readDisputes(tx, p.String())
		if err != nil {
			return err
		}
		var over []market.Hash
		for h, s := range seen {
			l, err := tx.Lease(ledger.Client, h)
			if errors.Is(err, ledger.ErrNotFound) || err == nil && l.State != market.Closed {
				continue
			}
			if err != nil {
				return err
			}
			if _, err := evidence(tx, h); !errors.Is(err, ledger.ErrNotFound) {
				if err != nil {
					return err
				}
				continue // it cheated: there is nothing to pay
			}
			switch known := d.of(h); {
			case s.onRecord(known):
			case s.isLate(l, known):
				late = append(late, lateLease{l, known})
			case !known.Lease.IsZero():
				over = append(over, h)
			}
		}
		if len(over) == 0 {
			return nil
		}
		return editDisputes(tx, p.String(), func(d *disputes) {
			for _, h := range over {
				d.drop(h)
			}
		})
	})
	return first(late), err
}

// first are the leases that one exchange goes on with.
func first(late []lateLease) (hashes []market.Hash) {
	slices.SortFunc(late, lateLease.compare)
	for _, l := range late[:min(len(late), maxLate)] {
		hashes = append(hashes, l.Hash)
	}
	return hashes
}

// lateLease is one of them, and what is known of its dispute.
type lateLease struct {
	ledger.Lease
	known disputed
}

// compare orders the leases that nobody has looked at yet, the oldest first,
// before the others, of which the one that was looked at longest ago is first: what
// its provider is paid meanwhile may have made room for it, or it may answer now.
func (a lateLease) compare(b lateLease) int {
	return cmp.Or(compare(a.looked(), b.looked()), compare(a.Created, b.Created))
}

// looked is when it was last refused, or its provider broke off, Unix ms; 0: never.
func (a lateLease) looked() uint64 {
	if a.known.Seq == 0 {
		return a.known.Tried
	}
	return max(a.known.At, a.known.Tried)
}

// onRecord tells that a person has decided on a dispute, or has to.
func (s shownLease) onRecord(known disputed) bool {
	return known.Left || !known.Silence && known.Seq > 0 && known.Seq == s.newest.Seq
}

// isLate tells that a closed lease isn't paid to its end, that the provider
// doesn't know it, or that it may still run.
func (s shownLease) isLate(l ledger.Lease, known disputed) bool {
	switch {
	case s.newest.Seq > l.Countersigned.Seq:
		return true
	case s.newest.Seq == l.Countersigned.Seq && s.newest.Seq > 0 && !s.signed:
		return true
	}
	return known.Silence && l.Started > 0 && s.newest.Outcome == market.NotEnded
}

// catchUpWith goes on with one of them, and tells whether all is paid of it that
// may be. One that its provider has no time for now is left for another time, and
// where this node asks too fast it asks again.
func (e *Engine) catchUpWith(ctx context.Context, p peer.ID, h market.Hash, s shownLease) (paid bool, err error) {
	l, known, err := e.disputed(ctx, h)
	if err != nil {
		return false, err
	}
	why := l.Reason
	if known.Silence || s.newest.Seq <= l.Countersigned.Seq {
		var no *notPaid
		err := e.payLate(ctx, p, l, s.newest, leave{lost: known.Silence})
		for wire.IsCode(err, wire.RateLimited) && pause(ctx, hurryPause+rand.N(hurryPause), nil) {
			err = e.payLate(ctx, p, l, s.newest, leave{lost: known.Silence})
		}
		switch {
		case errors.As(err, &no):
			s.newest, why = no.receipt, no.why
		case err != nil && (isLedger(err) || ctx.Err() != nil):
			return false, err
		case err != nil:
			e.cfg.Log.Debug("a lost lease can't be paid now", "lease", h, "err", err)
			return true, e.postpone(ctx, l)
		default:
			return true, nil
		}
	}
	return false, e.dispute(ctx, h, s.newest, why)
}

// postpone puts down that a lease's provider broke off, so that others come first
// when the status is next exchanged.
func (e *Engine) postpone(ctx context.Context, l ledger.Lease) error {
	return e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		return editDisputes(tx, l.Peer, func(d *disputes) {
			x := d.of(l.Hash)
			x.Lease, x.Tried = l.Hash, e.nowMillis()
			d.set(x)
		})
	})
}

// disputed is a lease, and what is known of its dispute.
func (e *Engine) disputed(ctx context.Context, h market.Hash) (l ledger.Lease, x disputed, err error) {
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		if l, err = tx.Lease(ledger.Client, h); err != nil {
			return err
		}
		d, err := readDisputes(tx, l.Peer)
		x = d.of(h)
		return err
	})
	return l, x, err
}

// dispute puts down that a provider's receipt isn't countersigned. Of one that
// cheated there is nothing to decide: nothing of that lease is ever paid.
func (e *Engine) dispute(ctx context.Context, h market.Hash, r market.Receipt, why string) error {
	return e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		l, err := tx.Lease(ledger.Client, h)
		if err != nil || r.Charged == l.Countersigned.Charged || r.Charged.Less(l.Countersigned.Charged) {
			return err // nothing is owed
		}
		if _, err := evidence(tx, h); !errors.Is(err, ledger.ErrNotFound) {
			return errors.Join(err, editDisputes(tx, l.Peer, func(d *disputes) { d.drop(h) }))
		}
		return editDisputes(tx, l.Peer, func(d *disputes) {
			x := d.of(h)
			d.set(disputed{
				Lease: h, Silence: x.Silence, Left: x.Left, Seq: r.Seq, Charged: r.Charged, Owed: r.Charged.Sub(l.Countersigned.Charged),
				Obstacle: l.Paid.Less(r.Charged), Why: why, At: e.nowMillis(),
			})
		})
	})
}
