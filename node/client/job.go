package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

const (
	placeRounds = 3           // searches for one execution, while all providers are busy
	bookPause   = time.Second // before a job goes on after the ledger refused
)

// runner walks one job from its first search to its end. It is one goroutine.
type runner struct {
	e       *Engine
	id      string
	hub     *hub
	living  atomic.Pointer[execution] // the lease that is being lived through; nil between two
	planned *planned                  // what the user's plan was quoted; nil once used

	once      sync.Once
	cancelled chan struct{} // closed when the user cancelled
}

// run goes on until the job is done or ctx ends. What it does next it reads
// from the ledger each time, so a restart does the same.
func (r *runner) run(ctx context.Context) {
	for ctx.Err() == nil {
		done, err := r.step(ctx)
		if done || ctx.Err() != nil {
			return
		}
		if err != nil {
			r.e.cfg.Log.Error("a job can't go on now", "job", r.id, "err", err)
			r.notice(wire.StorageTrouble, "the job waits, because of a fault of this node: %v", err)
			if !pause(ctx, bookPause, nil) {
				return
			}
		}
	}
}

// step does what is due next.
func (r *runner) step(ctx context.Context) (done bool, err error) {
	j, leases, err := r.e.jobAndLeases(ctx, r.id)
	if err != nil {
		return false, err
	}
	if j.Cancel {
		r.once.Do(func() { close(r.cancelled) })
	}
	if j.State == ledger.JobDone {
		return true, nil
	}
	if len(leases) > 0 {
		last := leases[len(leases)-1]
		if last.State != market.Closed {
			return false, r.resume(ctx, last)
		}
		v, err := r.e.judgeExecution(ctx, j, last)
		if err != nil {
			return false, err
		}
		if v.final {
			return true, r.finish(ctx, v)
		}
		if j.State != ledger.JobPlaced {
			return false, r.again(ctx)
		}
	}
	if j.Cancel {
		return true, r.finish(ctx, verdict{code: Cancelled, text: "cancelled before anything ran"})
	}
	return r.place(ctx, j, leases)
}

// resume goes on with a lease that a restart found.
func (r *runner) resume(ctx context.Context, l ledger.Lease) error {
	if l.State == market.Quoted {
		settled, err := r.e.settle(ctx, l, false)
		var no *declined
		if errors.As(err, &no) {
			r.notice(no.Code, "%s did not take the lease: %v", short(l.Peer), no)
			return nil
		}
		if err != nil {
			return err
		}
		if l = settled; l.State != market.Closed {
			r.leased(l)
		}
	}
	return r.execute(ctx, l, false)
}

// execute lives through a lease, from agreed to closed. fresh says that this
// process made it.
func (r *runner) execute(ctx context.Context, l ledger.Lease, fresh bool) error {
	if l.State != market.Closed {
		x, err := r.newExecution(l, fresh)
		if err != nil {
			return err
		}
		if err := x.run(ctx); err != nil {
			return err
		}
		l = x.lease
	}
	return r.ended(ctx, l)
}

func (r *runner) leased(l ledger.Lease) {
	if q, err := market.DecodeQuote(l.Quote); err == nil {
		r.emit(Event{Kind: Leased, Lease: l.Hash.Hex(), Peer: l.Peer, Attempt: l.Attempt, PricePerHour: q.PricePerHour()})
	}
}

func (r *runner) ended(ctx context.Context, l ledger.Lease) error {
	outcome, err := r.e.outcome(ctx, l)
	if err == nil {
		r.emit(endedEvent(l, outcome))
	}
	return err
}

func endedEvent(l ledger.Lease, outcome string) Event {
	cost := l.Paid
	return Event{Kind: Ended, Lease: l.Hash.Hex(), Peer: l.Peer, Attempt: l.Attempt, Outcome: outcome, Charged: &cost, Text: l.Reason}
}

func (e *Engine) outcome(ctx context.Context, l ledger.Lease) (name string, err error) {
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		name, err = outcomeOf(tx, l)
		return err
	})
	return name, err
}

// outcomeOf is a lease's outcome, or this side's own word for it: cheated where
// there is evidence against its provider, lost where it could not be reached.
func outcomeOf(tx *ledger.Tx, l ledger.Lease) (string, error) {
	_, err := evidence(tx, l.Hash)
	switch {
	case err == nil:
		return string(Cheated), nil
	case !errors.Is(err, ledger.ErrNotFound):
		return "", err
	case l.Lost:
		return string(Lost), nil
	}
	return l.Outcome.String(), nil
}

// again puts the job between two executions.
func (r *runner) again(ctx context.Context) error {
	return r.e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		j, err := tx.Job(r.id)
		if err != nil {
			return err
		}
		j.State = ledger.JobPlaced
		if j.Spent, err = spent(tx, j); err != nil {
			return err
		}
		return tx.PutJob(j)
	})
}

// spent is the most that a job's executions so far can have cost: what was
// countersigned, and for those that ended without that, what was vouchered.
func spent(tx *ledger.Tx, j ledger.Job) (sum market.Amount, err error) {
	for _, h := range j.Leases {
		l, err := tx.Lease(ledger.Client, h)
		if err != nil {
			return sum, err
		}
		sum = sum.Add(l.Paid)
	}
	return sum, nil
}

// left is what of its limits.total a job may still cost: on each channel, what
// its executions were paid there, or by how much its leases raised the voucher
// where that is more, also those that the provider didn't take: it may keep that.
func left(tx *ledger.Tx, j ledger.Job) (market.Amount, error) {
	var gone market.Amount
	paid, raised := map[market.Hash]market.Amount{}, map[market.Hash]market.Amount{}
	for _, h := range slices.Concat(j.Leases, j.Declined) {
		l, err := tx.Lease(ledger.Client, h)
		if err != nil {
			return gone, err
		}
		paid[l.Channel], raised[l.Channel] = paid[l.Channel].Add(l.Paid), raised[l.Channel].Add(l.Raised)
	}
	for channel := range paid {
		gone = gone.Add(market.MaxAmount(paid[channel], raised[channel]))
	}
	return j.Total.Sub(gone), nil
}

// jobAndLeases reads a job with its executions in order.
func (e *Engine) jobAndLeases(ctx context.Context, id string) (j ledger.Job, leases []ledger.Lease, err error) {
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		j, leases, err = jobAndLeases(tx, id)
		return err
	})
	return j, leases, err
}

func jobAndLeases(tx *ledger.Tx, id string) (j ledger.Job, leases []ledger.Lease, err error) {
	if j, err = tx.Job(id); err != nil {
		return j, nil, err
	}
	for _, h := range j.Leases {
		l, err := tx.Lease(ledger.Client, h)
		if err != nil {
			return j, nil, err
		}
		leases = append(leases, l)
	}
	return j, leases, nil
}

func short(id string) string {
	if p, err := peer.Decode(id); err == nil {
		return shown(p)
	}
	return id
}
