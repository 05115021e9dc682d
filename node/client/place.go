package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// passing are the reasons for which the same search may go better a little later.
var passing = []wire.Code{wire.Busy, wire.Taken, wire.Expired, wire.BadVoucher, wire.Credit, wire.RateLimited, wire.NotReconciled}

// place finds a provider for the next execution, leases it, and lives
// through the lease.
func (r *runner) place(ctx context.Context, j ledger.Job, before []ledger.Lease) (done bool, err error) {
	for round := 1; ; round++ {
		n, err := r.need(ctx, j, before)
		if err != nil {
			return false, err
		}
		n.again = round > 1 || len(before) > 0
		plan, cs, err := r.quotes(ctx, n, j)
		if wire.IsCode(err, wire.ClockSkew) {
			return true, r.nobody(ctx, j, before, wire.AsRefusal(err))
		}
		if err != nil {
			return false, err
		}
		r.emit(Event{Kind: Considered, Plan: &plan, Attempt: len(j.Leases) + 1})
		l, why, err := r.leaseAny(ctx, j, n, cs)
		switch {
		case err != nil:
			return false, err
		case why == nil:
			return false, r.execute(ctx, l, true)
		case r.isCancelled():
			return false, nil
		}
		again := slices.Contains(passing, why.Code) || why.Code == OverTotal // a shorter lease may do
		if plan.Code != "" {
			why = wire.Refuse(wire.Code(plan.Code), "%s", plan.Summary)
			again = slices.Contains(passing, why.Code)
		}
		if round >= placeRounds || !again {
			return true, r.nobody(ctx, j, before, why)
		}
		if !pause(ctx, r.e.cfg.Times.Busy, r.cancelled) {
			return false, ctx.Err()
		}
	}
}

// leaseAny leases the first of the candidates that takes the lease. Where all
// that quoted refuse it, the next ones are asked for quotes, and those again whose
// quotes were outdated.
func (r *runner) leaseAny(ctx context.Context, j ledger.Job, n Need, cs []*candidate) (l ledger.Lease, why *wire.Refusal, err error) {
	for {
		var no *wire.Refusal
		l, no, err = r.leaseOne(ctx, j, cs)
		if why == nil || no == nil || no.Code != NoProvider {
			why = no
		}
		if err != nil || no == nil || r.isCancelled() {
			return l, why, err
		}
		r.e.quoteBest(ctx, cs, n)
		if !slices.ContainsFunc(cs, (*candidate).leasable) {
			return l, why, ctx.Err()
		}
		rank(cs)
	}
}

// leaseOne leases the first of the candidates that takes the lease; why is
// the last refusal where none does, and they are all out.
func (r *runner) leaseOne(ctx context.Context, j ledger.Job, cs []*candidate) (l ledger.Lease, why *wire.Refusal, err error) {
	why = wire.Refuse(NoProvider, "nobody gave a quote")
	for _, c := range cs {
		if !c.leasable() || r.isCancelled() {
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
		why = wire.Refuse(refusalOf(err), "%s can't be leased: %v", shown(c.offer.Peer), err)
		if !c.outdated(err) {
			c.out(missRefused, why.Code, "%v", err)
		}
		r.notice(why.Code, "%v", why)
	}
	return l, why, nil
}

// requotes is how often one provider is asked for a new quote, for one
// lease, because it wouldn't take its last one any more.
const requotes = 3

// outdated tells that the quote isn't taken any more, and that a new one may
// be: other leases used up the credit that it gave, say, or it ran out. The
// candidate is then without a quote, and goes on fitting.
func (c *candidate) outdated(err error) bool {
	var no *declined
	if !errors.As(err, &no) || !slices.Contains([]wire.Code{wire.Credit, wire.Expired}, no.Code) || c.requoted >= requotes {
		return false
	}
	c.requoted++
	c.quoted = nil
	return true
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
	var size int64
	for _, root := range doc.Roots() {
		more, err2 := r.e.sizeOf(ctx, root)
		size, err = size+more, errors.Join(err, err2)
	}
	if err != nil {
		return Need{}, err
	}
	var rest market.Amount
	err = r.e.cfg.Ledger.Peek(ctx, func(tx *ledger.Tx) error {
		j, err := tx.Job(r.id)
		if err != nil {
			return err
		}
		rest, err = left(tx, j)
		return err
	})
	if err != nil {
		return Need{}, err
	}
	n := needOf(s, size, rest)
	n.avoid = failing(before)
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
	return r.e.planOf(cs, n, 1+j.Retries-ran(j)), cs, nil
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
