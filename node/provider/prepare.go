package provider

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/blob"
	"souk/node/executor"
	"souk/protocol/market"
)

func millis(n uint64) time.Duration { return time.Duration(min(n, 1<<52)) * time.Millisecond } //nolint:gosec // capped

// prepare is the supervisor's first step: inputs come in, the workspace is
// made, and the process starts with the first attach. All of it ends at
// startBy, and sooner when nothing comes for as long as Config.Patience.
func (l *lease) prepare(ctx context.Context) error {
	limited, cancel := context.WithDeadline(ctx, time.UnixMilli(int64(l.quote.StartBy))) //nolint:gosec // set by this provider
	defer cancel()
	if l.stateIs(market.Agreed) {
		if err := l.step(ctx, market.Prepare); err != nil {
			return l.notStarted(ctx, limited, err)
		}
	}
	if err := l.gather(limited); err != nil {
		return l.notStarted(ctx, limited, err)
	}
	exec, err := l.workspace(limited)
	if err != nil {
		return l.notStarted(ctx, limited, err)
	}
	if err := l.await(limited, l.p.Patience, l.wasAttached); err != nil {
		return errors.Join(l.notStarted(ctx, limited, fmt.Errorf("nobody attached in time: %w", err)), l.p.discard(exec))
	}
	if l.cancelled() {
		return errors.Join(l.notStarted(ctx, limited, errCancelled), l.p.discard(exec))
	}
	// On disk before it is done: a crash in between ends as provider_failed.
	if err := l.step(ctx, market.Start); err != nil {
		return errors.Join(l.notStarted(ctx, limited, err), l.p.discard(exec))
	}
	if l.mayBegin() {
		if err := l.startProcess(ctx, exec); err != nil {
			return errors.Join(l.failed(ctx, err), l.p.discard(exec))
		}
	} else {
		exec = holdBack(exec, millis(l.quote.MaxMillis))
	}
	l.mu.Lock() // only now: what has not started has no log that ends
	l.exec = exec
	l.wakeLocked()
	l.mu.Unlock()
	return l.launched(ctx)
}

var (
	errCancelled = errors.New("the client cancelled")
	errIdle      = errors.New("nothing came from the client for too long")
)

// gather waits for the inputs. They are pinned first: what is there from an
// earlier lease must not be collected before it is used.
func (l *lease) gather(ctx context.Context) error {
	s, err := l.space()
	if err != nil {
		return err
	}
	for _, root := range l.roots() {
		if err := s.Pin(root, l.inputsUntil()); err != nil {
			return err
		}
	}
	in := &inputs{l: l, space: s, lacking: l.roots(), looked: -1}
	if err := l.await(ctx, l.p.Patience, func() (bool, error) { return in.here(ctx) }); err != nil {
		return fmt.Errorf("the inputs did not come: %w", err)
	}
	if l.cancelled() {
		return errCancelled
	}
	return nil
}

// making is what preparing is, until the executor says more.
var making = map[string]string{market.KindWASM: "compiling the module", market.KindDocker: "getting the image"}

// workspace makes the execution; a Cancel ends that too. Nothing is made before
// what was left was looked for: it would be taken for something left.
func (l *lease) workspace(ctx context.Context) (executor.Execution, error) {
	if l.p.shelf.lost(l.job.Kind()) {
		return nil, &executor.ProviderError{Reason: l.job.Kind() + " jobs can't run here now", Err: errors.New("executions of before weren't looked for yet")}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan struct{})
	if !l.p.spawn(func() {
		defer close(watched)
		_ = l.await(ctx, PrepareTime, func() (bool, error) { return l.cancelled(), nil })
		cancel()
	}) {
		return nil, context.Canceled
	}
	l.progress(making[l.job.Kind()])
	exec, err := l.p.shelf.byID[l.job.Kind()].Prepare(ctx, l.spec())
	cancel()
	<-watched
	return exec, err
}

// notStarted ends a lease whose process never ran: nothing is charged.
func (l *lease) notStarted(ctx, limited context.Context, why error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the node closes; a later start goes on from here
	}
	if l.cancelled() {
		return l.end(ctx, market.Cancelled, executor.Result{Cause: executor.Stopped})
	}
	if limited.Err() != nil || errors.Is(why, market.ErrTooLate) || errors.Is(why, errIdle) {
		return l.end(ctx, market.Expired, executor.Result{Cause: executor.Stopped, Detail: why.Error()})
	}
	return l.failed(ctx, why)
}

// failed ends a lease by the provider's own fault, or by a job that can't run
// here; neither is charged more than was already signed.
func (l *lease) failed(ctx context.Context, why error) error {
	l.p.Log.Warn("execution failed", "lease", l.hash, "why", why)
	r := executor.Result{Cause: executor.Failed, Detail: "the provider could not run the job"}
	var bad *executor.JobError
	var image *executor.ImageError
	var told *executor.ProviderError
	switch lost := l.deviceLost(); {
	case errors.As(why, &bad):
		r.Cause, r.Detail = market.CauseUnfit, bad.Reason
	case lost != nil:
		r.Detail = lost.Error()
	case errors.As(why, &image):
		r.Cause, r.Detail = market.CauseUnfit, image.Reason
	case errors.As(why, &told):
		r.Detail = told.Reason
	}
	r.Detail = strings.ReplaceAll(strings.Join(strings.Fields(r.Detail), " "), filepath.Dir(l.p.Dir), "…")
	return l.end(ctx, market.ProviderFailed, r)
}

// await waits until done says so, asking again whenever the lease changes. It
// gives up when no byte of input came for as long as patience.
func (l *lease) await(ctx context.Context, patience time.Duration, done func() (bool, error)) error {
	received := l.received.Load()
	idle := time.NewTimer(patience)
	defer idle.Stop()
	for {
		_, _, changed := l.snapshot()
		if ok, err := done(); ok || err != nil {
			return err
		}
		if err := l.deviceLost(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-idle.C:
			if l.received.Load() == received {
				return errIdle
			}
			received = l.received.Load()
			idle.Reset(patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// inputs looks for the DAGs of a job in the client's space.
type inputs struct {
	l       *lease
	space   *blob.Space
	lacking []cid.Cid // not seen whole yet
	looked  int64     // arrivals when they were last looked for
}

// here tells that every DAG is complete; a lease that was cancelled waits for
// none. Only when a transfer ended is there something new to look for.
func (in *inputs) here(ctx context.Context) (bool, error) {
	if in.l.cancelled() {
		return true, nil
	}
	if err := in.l.unstorable.Load(); err != nil {
		return false, fmt.Errorf("this node can't store them: %w", *err)
	}
	arrivals := in.l.arrivals.Load()
	if arrivals == in.looked {
		return false, nil
	}
	in.looked = arrivals
	for len(in.lacking) > 0 {
		whole, err := complete(ctx, in.space, in.lacking[0])
		if !whole || err != nil {
			return false, err
		}
		in.lacking = in.lacking[1:]
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
