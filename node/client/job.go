package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/jobfile"
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
	planned *planned // what the user's plan was quoted; nil once used

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
	return r.execute(ctx, l)
}

// execute lives through a lease, from agreed to closed.
func (r *runner) execute(ctx context.Context, l ledger.Lease) error {
	if l.State != market.Closed {
		x, err := r.newExecution(l)
		if err != nil {
			return err
		}
		if err := x.run(ctx); err != nil {
			return err
		}
		l = x.lease
	}
	r.ended(l)
	return nil
}

func (r *runner) leased(l ledger.Lease) {
	if q, err := market.DecodeQuote(l.Quote); err == nil {
		r.emit(Event{Kind: Leased, Lease: l.Hash.Hex(), Peer: l.Peer, Attempt: l.Attempt, PricePerHour: q.PricePerHour()})
	}
}

func (r *runner) ended(l ledger.Lease) { r.emit(endedEvent(l)) }

func endedEvent(l ledger.Lease) Event {
	cost := l.Paid
	return Event{Kind: Ended, Lease: l.Hash.Hex(), Peer: l.Peer, Attempt: l.Attempt, Outcome: outcomeName(l), Charged: &cost, Text: l.Reason}
}

// outcomeName is the outcome, or this side's own mark of a lease without one.
func outcomeName(l ledger.Lease) string {
	if l.Lost {
		return string(Lost)
	}
	return l.Outcome.String()
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

// place finds a provider for the next execution, leases it, and lives
// through the lease.
func (r *runner) place(ctx context.Context, j ledger.Job, before []ledger.Lease) (done bool, err error) {
	n, err := r.need(ctx, j, before)
	if err != nil {
		return false, err
	}
	for round := 1; ; round++ {
		plan, cs, err := r.quotes(ctx, n, j)
		if err != nil {
			return false, err
		}
		r.emit(Event{Kind: Considered, Plan: &plan, Attempt: len(j.Leases) + 1})
		l, why, err := r.leaseOne(ctx, j, cs)
		switch {
		case err != nil:
			return false, err
		case why == nil:
			return false, r.execute(ctx, l)
		case r.isCancelled():
			return false, nil
		}
		if plan.Code != "" {
			why = wire.Refuse(wire.Code(plan.Code), "%s", plan.Summary)
		}
		if round >= placeRounds || (why.Code != wire.Busy && why.Code != wire.Taken && why.Code != wire.Expired) {
			return true, r.nobody(ctx, j, before, why)
		}
		if !pause(ctx, r.e.cfg.Times.Busy, r.cancelled) {
			return false, ctx.Err()
		}
	}
}

// leaseOne leases the first of the candidates that takes the lease; why is
// the last refusal where none does.
func (r *runner) leaseOne(ctx context.Context, j ledger.Job, cs []*candidate) (l ledger.Lease, why *wire.Refusal, err error) {
	why = wire.Refuse(NoProvider, "nobody gave a quote")
	for _, c := range cs {
		if !c.fits() || c.quoted == nil || r.isCancelled() {
			continue
		}
		l, err := r.e.accept(ctx, j.ID, c)
		if err == nil {
			l, err = r.e.settle(ctx, l, true)
		}
		if err == nil {
			if len(l.ProviderSignature) > 0 {
				r.leased(l)
			}
			return l, nil, nil
		}
		if isLedger(err) || ctx.Err() != nil {
			return l, nil, errors.Join(err, ctx.Err())
		}
		why = wire.Refuse(refusalOf(err), "%s can't be leased: %v", c.offer.Peer.ShortString(), err)
		r.notice(why.Code, "%v", why)
	}
	return l, why, nil
}

// nobody ends a job for which there is no (further) provider.
func (r *runner) nobody(ctx context.Context, j ledger.Job, before []ledger.Lease, why *wire.Refusal) error {
	v := verdict{code: why.Code, text: why.Error()}
	if len(before) > 0 {
		last, err := r.e.judgeExecution(ctx, j, before[len(before)-1])
		if err != nil {
			return err
		}
		v.code, v.text = last.code, fmt.Sprintf("%s; nobody else could be leased: %v", last.text, why)
	}
	return r.finish(ctx, v)
}

func refusalOf(err error) wire.Code {
	var r *wire.Refusal
	var no *declined
	switch {
	case errors.As(err, &no):
		return no.Code
	case errors.As(err, &r):
		return r.Code
	}
	return NoProvider
}

// need is what the next execution needs, within what is left of the total.
func (r *runner) need(ctx context.Context, j ledger.Job, before []ledger.Lease) (Need, error) {
	var s jobfile.Spec
	if err := json.Unmarshal(j.Spec, &s); err != nil {
		return Need{}, fmt.Errorf("job %s as recorded: %w", j.ID, err)
	}
	doc, err := market.DecodeJob(j.Job)
	if err != nil {
		return Need{}, err
	}
	size, err := r.e.sizeOf(ctx, doc.WASM)
	for _, in := range doc.Inputs {
		more, err2 := r.e.sizeOf(ctx, in.CID)
		size, err = size+more, errors.Join(err, err2)
	}
	if err != nil {
		return Need{}, err
	}
	left := j.Total
	avoid := map[peer.ID]bool{}
	for _, l := range before {
		left = left.Sub(l.Paid)
		if p, err := peer.Decode(l.Peer); err == nil {
			avoid[p] = true
		}
	}
	n := needOf(s, size, left)
	n.avoid = avoid
	return n, nil
}

// quotes are those of the plan that the user saw while they are good, or new ones.
func (r *runner) quotes(ctx context.Context, n Need, j ledger.Job) (Plan, []*candidate, error) {
	p := r.planned
	r.planned = nil
	if p != nil && p.plan.Code == "" && p.good(r.e.cfg.Clock.Mono()) {
		return p.plan, p.candidates, nil
	}
	cs, err := r.e.consider(ctx, n)
	if err != nil {
		return Plan{}, nil, err
	}
	return r.e.planOf(cs, n, 1+j.Retries-len(j.Leases)), cs, nil
}

// good tells that the best of a plan's quotes can still be accepted.
func (p *planned) good(now time.Duration) bool {
	return len(p.candidates) > 0 && p.candidates[0].fits() && p.candidates[0].quoted != nil && now < p.candidates[0].expires
}

func (r *runner) isCancelled() bool {
	select {
	case <-r.cancelled:
		return true
	default:
		return false
	}
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
		return p.ShortString()
	}
	return id
}
