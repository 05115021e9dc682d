package provider

import (
	"context"
	"io"
	"sync"
	"time"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
)

// heldBack is an execution whose process begins later than its lease's time:
// the client holds it back, to challenge the devices before its job has them.
// What it waits counts as running time, and comes off what was leased.
type heldBack struct {
	executor.Execution
	most time.Duration // of running, the wait included
	from time.Time     // when it could have begun

	mu     sync.Mutex
	waited time.Duration
	phase  phase
	result executor.Result // valid from over on, where no process ran
	cut    bool            // its time ran out
	limit  *time.Timer
	moved  chan struct{} // closed when it waits no longer
	over   chan struct{} // closed when it ends without a process
}

type phase int

const (
	waiting phase = iota
	starting
	begun
	ended // before it began
)

// holdBack begins to count the time of an execution that waits.
func holdBack(x executor.Execution, most time.Duration) *heldBack {
	h := &heldBack{Execution: x, most: most, from: time.Now(), moved: make(chan struct{}), over: make(chan struct{})}
	h.limit = time.AfterFunc(most, h.timeOver)
	return h
}

// heldBefore is an execution that began after such a wait, as a restart finds it.
func heldBefore(x executor.Execution, most, waited time.Duration) *heldBack {
	h := &heldBack{Execution: x, most: most, waited: waited, phase: begun, moved: make(chan struct{}), over: make(chan struct{})}
	close(h.moved)
	h.limit = time.AfterFunc(max(most-waited-x.Usage().Ran, 0), h.timeOver)
	return h
}

// wait ends the wait and tells how long it was.
func (h *heldBack) wait() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waited == 0 {
		h.waited = min(time.Since(h.from), h.most)
	}
	return h.waited
}

// Start implements executor.Execution: the wait is over. What ended meanwhile
// isn't started.
func (h *heldBack) Start(ctx context.Context) error {
	left := h.most - h.wait()
	if !h.step(waiting, starting) {
		return nil
	}
	if err := h.Execution.Start(ctx); err != nil {
		return err
	}
	h.step(starting, begun)
	close(h.moved)
	h.limit.Reset(left)
	return nil
}

func (h *heldBack) step(from, to phase) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase != from {
		return false
	}
	h.phase = to
	return true
}

func (h *heldBack) waits() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.phase == waiting
}

// timeOver ends it at the leased time, which the executor alone would let it
// exceed by the wait.
func (h *heldBack) timeOver() {
	h.mu.Lock()
	h.cut = true
	h.mu.Unlock()
	_ = h.Stop(context.Background()) // where this fails, the executor's own limit ends it
}

// Stop implements executor.Execution.
func (h *heldBack) Stop(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch h.phase {
	case waiting:
		h.phase, h.result = ended, executor.Result{Cause: executor.Stopped, Ran: min(time.Since(h.from), h.most)}
		h.limit.Stop()
		close(h.moved)
		close(h.over)
	case begun:
		return h.Execution.Stop(ctx)
	case starting, ended: // the limit is set again once it has started
	}
	return nil
}

// Done implements executor.Execution.
func (h *heldBack) Done() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == begun {
		return h.Execution.Done()
	}
	return h.over
}

// Result implements executor.Execution.
func (h *heldBack) Result() executor.Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.result
	if h.phase == begun {
		r = h.Execution.Result()
		r.Ran = min(r.Ran+h.waited, h.most)
	}
	if h.cut && r.Cause == executor.Stopped {
		r.Cause = executor.LimitTime
	}
	return r
}

// Usage implements executor.Execution.
func (h *heldBack) Usage() executor.Usage {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.phase == ended:
		return executor.Usage{Ran: h.result.Ran}
	case h.phase != waiting:
		u := h.Execution.Usage()
		u.Ran += h.waited
		return u
	default:
		return executor.Usage{Ran: min(time.Since(h.from), h.most)}
	}
}

// OutputDir implements executor.Execution.
func (h *heldBack) OutputDir() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase != begun {
		return ""
	}
	return h.Execution.OutputDir()
}

// LogFile implements executor.Execution.
func (h *heldBack) LogFile() string {
	if h.phaseNow() != begun {
		return ""
	}
	return h.Execution.LogFile()
}

// Log implements executor.Execution: before the process there is none.
func (h *heldBack) Log(ctx context.Context, offset int64) (io.ReadCloser, error) {
	select {
	case <-h.moved:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if h.phaseNow() == ended {
		return io.NopCloser(eof{}), nil
	}
	return h.Execution.Log(ctx, offset)
}

func (h *heldBack) phaseNow() phase {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.phase
}

// Remove implements executor.Execution.
func (h *heldBack) Remove() error {
	h.limit.Stop()
	return h.Execution.Remove()
}

// mayBegin tells that no attach holds the process back.
func (l *lease) mayBegin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.hold
}

// begin lets the process start, as its client asks.
func (l *lease) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold {
		l.hold = false
		l.wakeLocked()
	}
}

// waits tells that the process is held back now.
func (l *lease) waits(exec executor.Execution) bool {
	h, ok := exec.(*heldBack)
	return ok && h.waits()
}

// startProcess starts the process after what it was held back for, which is on
// disk before.
func (l *lease) startProcess(ctx context.Context, exec executor.Execution) error {
	if h, ok := exec.(*heldBack); ok {
		waited := h.wait()
		if err := l.update(ctx, func(_ *ledger.Tx, rec *ledger.Lease) error {
			rec.Waited = uint64(waited.Milliseconds()) //nolint:gosec // positive
			return nil
		}); err != nil {
			return err
		}
	}
	if err := exec.Start(ctx); err != nil {
		return err
	}
	l.p.Notify(Event{At: l.p.Now(), Kind: Started, Peer: l.peer.String(), Lease: l.hash.Hex(), Text: l.job.Name})
	l.wake()
	return nil
}

// waitingDetail is what a client is told of a lease whose process it holds back.
const waitingDetail = "the process waits until its client lets it begin"

// resumed is an execution that a restart found, with the time that it was held back.
func resumed(x executor.Execution, rec ledger.Lease, q market.Quote) executor.Execution {
	if rec.Waited == 0 {
		return x
	}
	return heldBefore(x, millis(q.MaxMillis), millis(rec.Waited))
}
