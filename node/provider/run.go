package provider

import (
	"context"
	"time"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
)

// run supervises a started process tick by tick until it has ended. A tick
// whose cover is missing at its start goes on for one grace.
func (l *lease) run(ctx context.Context) error {
	exec := l.execution()
	tick := millis(l.quote.TickUnits)
	next := tick * time.Duration(1+exec.Usage().Ran/tick)
	if rec, _, _ := l.snapshot(); rec.Newest.Seq == 0 {
		next = min(next, tick) // also when a restart came late
	}
	boundary := time.NewTimer(next - exec.Usage().Ran)
	defer boundary.Stop()
	grace := newGrace(l.quote.TickUnits)
	defer grace.stop()
	for {
		_, _, changed := l.snapshot()
		if l.cancelled() {
			return l.stop(ctx, exec, market.Cancelled, "cancelled by the client")
		}
		if grace.running && l.covered(ctx) {
			grace.stop()
		}
		select {
		case <-exec.Done():
			return l.ended(ctx, exec)
		case <-boundary.C:
			if grace.running && l.mostUncovered(ctx) {
				return l.stop(ctx, exec, market.Cancelled, uncoveredSentence)
			}
			reached := tick * (exec.Usage().Ran / tick)
			if err := l.tick(ctx, exec, uint64(reached.Milliseconds())); err != nil { //nolint:gosec // positive
				return l.stop(ctx, exec, market.ProviderFailed, "the provider could not write its books")
			}
			grace.begin()
			boundary.Reset(reached + tick - exec.Usage().Ran)
		case <-grace.over():
			if l.mostUncovered(ctx) {
				return l.stop(ctx, exec, market.Cancelled, uncoveredSentence)
			}
			grace.begin()
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *lease) execution() executor.Execution {
	_, exec, _ := l.snapshot()
	return exec
}

// tick signs the receipt of a tick that is over.
func (l *lease) tick(ctx context.Context, exec executor.Execution, units uint64) error {
	units = min(units, l.quote.MaxMillis)
	if rec, _, _ := l.snapshot(); units <= rec.Newest.Units {
		return nil // the timer came early
	}
	return l.sign(ctx, market.NotEnded, units, l.quote.Charge(units), bodyOf(exec.Usage(), l.terms), nil)
}

// stop ends the process and the lease with it.
func (l *lease) stop(ctx context.Context, exec executor.Execution, outcome market.Outcome, why string) error {
	if err := exec.Stop(ctx); err != nil {
		return err
	}
	select {
	case <-exec.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	r := exec.Result()
	if r.Cause != executor.Stopped {
		return l.ended(ctx, exec) // it had ended by itself
	}
	r.Detail = why
	return l.finish(ctx, exec, outcome, r)
}

// ended turns how the process ended into an outcome.
func (l *lease) ended(ctx context.Context, exec executor.Execution) error {
	r := exec.Result()
	return l.finish(ctx, exec, outcomeOf(r), r)
}

func outcomeOf(r executor.Result) market.Outcome {
	switch r.Cause {
	case executor.Exited:
		if r.ExitCode == 0 {
			return market.Succeeded
		}
		return market.JobFailed
	case executor.LimitTime, executor.LimitMemory, executor.LimitDisk, executor.LimitLog, executor.Trapped:
		return market.JobFailed
	case executor.Stopped:
		return market.Cancelled
	default:
		return market.ProviderFailed
	}
}

// covered tells whether the tick that runs now may.
func (l *lease) covered(ctx context.Context) bool {
	if l.quote.TickPrice.IsZero() {
		return true
	}
	ok := false
	err := l.p.Ledger.View(ctx, func(tx *ledger.Tx) error {
		ch, err := tx.Channel(ledger.Provider, l.channel)
		ok = err == nil && l.p.cover(ch, l.hash).MayStart(l.quote.TickPrice)
		return err
	})
	return ok && err == nil
}

// mostUncovered tells whether of the channel's leases this is the one to
// stop: the one with the most charge that no countersignature stands for.
func (l *lease) mostUncovered(ctx context.Context) bool {
	if l.covered(ctx) {
		return false
	}
	mine := l.uncovered()
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	for _, other := range l.p.leases {
		if other != l && other.channel == l.channel && other.running() && mine.Less(other.uncovered()) {
			return false
		}
	}
	return true
}

func (l *lease) uncovered() market.Amount {
	rec, _, _ := l.snapshot()
	return rec.Newest.Charged.Sub(rec.Countersigned.Charged).Add(l.quote.TickPrice)
}

// grace is the time that a process goes on while the countersignature for the
// tick before is on its way: a tick, at least MinGrace, at most MaxGrace.
type grace struct {
	d       time.Duration
	t       *time.Timer
	running bool
}

func newGrace(tickUnits uint64) *grace {
	g := &grace{d: min(max(millis(tickUnits), MinGrace), MaxGrace), t: time.NewTimer(time.Hour)}
	g.stop()
	return g
}

func (g *grace) begin() {
	g.running = true
	g.t.Reset(g.d)
}

func (g *grace) stop() {
	g.running = false
	g.t.Stop()
}

func (g *grace) over() <-chan time.Time { return g.t.C }

const uncoveredSentence = "no voucher covered the next tick"
