package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"souk/node/executor"
	"souk/protocol/market"
)

func millis(n uint64) time.Duration { return time.Duration(min(n, 1<<52)) * time.Millisecond } //nolint:gosec // capped

// prepare is the supervisor's first step: inputs come in, the workspace is
// made, and the process starts with the first attach. All of it ends at startBy.
func (l *lease) prepare(ctx context.Context) error {
	limited, cancel := context.WithDeadline(ctx, time.UnixMilli(int64(l.quote.StartBy))) //nolint:gosec // set by this provider
	defer cancel()
	if l.stateIs(market.Agreed) {
		if err := l.step(ctx, market.Prepare); err != nil {
			return l.notStarted(ctx, limited, err)
		}
	}
	if err := l.await(limited, l.inputsHere); err != nil {
		return l.notStarted(ctx, limited, fmt.Errorf("the inputs did not come in time: %w", err))
	}
	if l.cancelled() {
		return l.end(ctx, market.Cancelled, executor.Result{Cause: executor.Stopped})
	}
	exec, err := l.p.Executor.Prepare(limited, l.spec())
	if err != nil {
		return l.notStarted(ctx, limited, err)
	}
	l.mu.Lock()
	l.exec = exec
	l.wakeLocked()
	l.mu.Unlock()
	if err := l.await(limited, l.wasAttached); err != nil {
		return errors.Join(l.notStarted(ctx, limited, fmt.Errorf("nobody attached in time: %w", err)), exec.Remove())
	}
	if l.cancelled() {
		return errors.Join(l.end(ctx, market.Cancelled, executor.Result{Cause: executor.Stopped}), exec.Remove())
	}
	// On disk before it is done: a crash in between ends as provider_failed.
	if err := l.step(ctx, market.Start); err != nil {
		return errors.Join(l.notStarted(ctx, limited, err), exec.Remove())
	}
	if err := exec.Start(ctx); err != nil {
		return errors.Join(l.failed(ctx, err), exec.Remove())
	}
	l.p.Notify(Event{At: l.p.Now(), Kind: Started, Peer: l.peer.String(), Lease: l.hash.Hex(), Text: l.job.Name})
	l.wake()
	return l.run(ctx)
}

// notStarted ends a lease whose process never ran: nothing is charged.
func (l *lease) notStarted(ctx, limited context.Context, why error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the node closes; a later start goes on from here
	}
	if l.cancelled() {
		return l.end(ctx, market.Cancelled, executor.Result{Cause: executor.Stopped})
	}
	if limited.Err() != nil || errors.Is(why, market.ErrTooLate) {
		return l.end(ctx, market.Expired, executor.Result{Cause: executor.Stopped, Detail: why.Error()})
	}
	return l.failed(ctx, why)
}

// failed ends a lease by the provider's own fault, or by a job that can't run
// at all; neither is charged more than was already signed.
func (l *lease) failed(ctx context.Context, why error) error {
	l.p.Log.Warn("execution failed", "lease", l.hash, "why", why)
	detail := "the provider could not run the job"
	var bad *executor.JobError
	if errors.As(why, &bad) {
		detail = bad.Reason
	}
	return l.end(ctx, market.ProviderFailed, executor.Result{Cause: executor.Failed, Detail: detail})
}

// await waits until done says so, asking again whenever the lease changes.
func (l *lease) await(ctx context.Context, done func() (bool, error)) error {
	for {
		_, _, changed := l.snapshot()
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// inputsHere tells that every DAG of the job is complete in the client's
// space; a lease that was cancelled waits for none.
func (l *lease) inputsHere() (bool, error) {
	if l.cancelled() {
		return true, nil
	}
	s, err := l.space()
	if err != nil {
		return false, err
	}
	for _, root := range l.roots() {
		whole, err := complete(l.p.ctx, s, root)
		if !whole || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (l *lease) wasAttached() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attached || l.rec.Cancelled, nil
}

func (l *lease) cancelled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec.Cancelled
}

func (l *lease) stateIs(s market.State) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec.State == s
}
