package provider

import (
	"context"
	"errors"
	"time"

	"souk/node/books"
	"souk/node/executor"
	"souk/protocol/market"
)

// run supervises a process that a restart found.
func (l *lease) run(ctx context.Context) error {
	return l.supervise(ctx, newGrace(l.quote.TickUnits))
}

// launched supervises a process that has just started. Its first tick has a
// grace as well: what covered it others may have used up since the accept.
func (l *lease) launched(ctx context.Context) error {
	grace := newGrace(l.quote.TickUnits)
	grace.begin()
	return l.supervise(ctx, grace)
}

// supervise watches a process tick by tick until it has ended. A tick whose
// cover is missing at its start goes on for one grace.
func (l *lease) supervise(ctx context.Context, grace *grace) error {
	exec := l.execution()
	tick := millis(l.quote.TickUnits)
	boundary := time.NewTimer(l.untilBoundary(exec, tick))
	defer boundary.Stop()
	defer grace.stop()
	for {
		_, _, changed := l.snapshot()
		switch {
		case l.stateOver():
			return l.drop(ctx, exec)
		case l.cancelled():
			return l.stop(ctx, exec, market.Cancelled, cancelledSentence)
		case l.deviceLost() != nil:
			return l.stop(ctx, exec, market.ProviderFailed, l.deviceLost().Error())
		case l.waits(exec) && l.mayBegin():
			if err := l.startProcess(ctx, exec); err != nil {
				return errors.Join(l.failed(ctx, err), exec.Remove())
			}
		case l.heldBack():
			if err := l.tick(ctx, exec, l.reached(exec, tick)); err != nil {
				return l.stop(ctx, exec, market.ProviderFailed, brokenSentence)
			}
		}
		if (grace.running || l.isEvicted()) && l.covered(ctx) {
			grace.stop()
			l.evict(false)
		}
		if l.isEvicted() {
			return l.stop(ctx, exec, market.Cancelled, uncoveredSentence)
		}
		select {
		case <-exec.Done():
			return l.ended(ctx, exec)
		case <-boundary.C:
			if grace.running && l.uncovered(ctx) {
				return l.stop(ctx, exec, market.Cancelled, uncoveredSentence)
			}
			if err := l.tick(ctx, exec, l.reached(exec, tick)); err != nil {
				return l.stop(ctx, exec, market.ProviderFailed, brokenSentence)
			}
			grace.begin()
			boundary.Reset(max(time.Millisecond, tick-exec.Usage().Ran%tick))
		case <-grace.over():
			if l.uncovered(ctx) {
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

// untilBoundary is how long the tick that runs still has; nothing when a
// restart came late and ticks are over that no receipt stands for.
func (l *lease) untilBoundary(exec executor.Execution, tick time.Duration) time.Duration {
	if rec, _, _ := l.snapshot(); l.reached(exec, tick) > rec.Newest.Units {
		return 0
	}
	return tick - exec.Usage().Ran%tick
}

// reached is the running time at the last boundary, in ms.
func (l *lease) reached(exec executor.Execution, tick time.Duration) uint64 {
	return min(l.quote.MaxMillis, uint64(exec.Usage().Ran/tick)*l.quote.TickUnits) //nolint:gosec // positive
}

// tick signs the receipt of the ticks that are over. As long as the channel's
// status was not exchanged, their charge only counts against the cover.
func (l *lease) tick(ctx context.Context, exec executor.Execution, units uint64) error {
	rec, _, _ := l.snapshot()
	if units <= rec.Newest.Units {
		l.holdBack(market.Amount{})
		return nil // the timer came early
	}
	if !l.exchanged.Load() {
		l.holdBack(books.Charge(rec, l.quote, market.NotEnded, units).Sub(rec.Newest.Charged))
		return nil
	}
	_, err := l.sign(ctx, books.Statement{Units: units}, l.body(exec.Usage()))
	l.holdBack(market.Amount{})
	if errors.Is(err, books.ErrEnded) {
		return l.reload(ctx)
	}
	return err
}

func (l *lease) holdBack(charge market.Amount) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsigned = charge
}

// heldBack tells that a receipt was held back and may now be signed.
func (l *lease) heldBack() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.unsigned.IsZero() && l.exchanged.Load()
}

func (l *lease) stateOver() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return books.Over(l.rec.State)
}

// drop ends the process of a lease that has ended in the books: the other
// side showed a last receipt of this provider's that a restored backup lacked.
func (l *lease) drop(ctx context.Context, exec executor.Execution) error {
	if err := exec.Stop(ctx); err != nil {
		return err
	}
	l.forgetProcess()
	l.giveBack()
	return l.p.discard(exec)
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
	outcome := outcomeOf(r)
	switch fault := l.faultBehind(outcome); {
	case fault != nil:
		outcome, r.Cause, r.Detail = market.ProviderFailed, executor.Failed, fault.Error()
	case r.Cause == executor.Stopped: // before a restart: find out again why
		outcome, r.Detail = l.whyStopped(ctx)
	}
	return l.finish(ctx, exec, outcome, r)
}

func (l *lease) whyStopped(ctx context.Context) (market.Outcome, string) {
	switch {
	case l.cancelled():
		return market.Cancelled, cancelledSentence
	case !l.covered(ctx):
		return market.Cancelled, uncoveredSentence
	default:
		return market.ProviderFailed, "the provider stopped the process"
	}
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
	default:
		return market.ProviderFailed
	}
}
