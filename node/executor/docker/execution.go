package docker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

const callTimeout = 20 * time.Second // for a call to the daemon that is no wait

// execution implements executor.Execution. One goroutine, live, owns all that
// happens to the container; the methods ask it.
type execution struct {
	exec   *Executor
	dir    string
	rec    record
	log    *journal
	wiring *Wiring

	life   context.Context // ends with a detaching Close
	end    context.CancelFunc
	starts chan chan error // asks for the start
	killed chan struct{}   // closed by the first kill
	gone   chan struct{}   // closed when nothing of this process touches it any more
	done   chan struct{}   // closed when it ended and its result is on disk

	mu    sync.Mutex
	asked bool           // Start was called
	cause executor.Cause // of the first kill
	begun time.Duration  // when guest code began, on this boot's monotonic clock; 0 before
	told  time.Duration  // the longest running time that Usage gave out
	used  result         // what is known of its use, and at the end all
	over  bool
}

var (
	_ executor.Execution = (*execution)(nil)

	errEnded = errors.New("the execution ended before it was started")
	errTwice = errors.New("an execution can be started once only, and this one was")
)

func newExecution(e *Executor, dir string, rec record, w *Wiring) *execution {
	x := &execution{
		exec: e, dir: dir, rec: rec, wiring: w, log: newJournal(dir, rec.Limits.Log), starts: make(chan chan error, 1),
		killed: make(chan struct{}), gone: make(chan struct{}), done: make(chan struct{}),
	}
	x.life, x.end = context.WithCancel(context.Background())
	return x
}

// live runs an execution that isn't started yet until it ended or is let go of.
func (x *execution) live() {
	defer x.leave()
	select {
	case answer := <-x.starts:
		err := x.begin()
		answer <- err
		if err == nil {
			x.supervise()
		}
	case <-x.killed:
		x.conclude(result{Cause: executor.Stopped})
	case <-x.life.Done():
	}
}

// leave is the last thing that live and resume do.
func (x *execution) leave() {
	x.end()
	x.log.close()
	x.mu.Lock()
	over := x.over
	x.mu.Unlock()
	if over { // else its container goes on using it
		x.unwire()
	}
	close(x.gone)
}

func (x *execution) unwire() {
	if err := x.wiring.end(); err != nil {
		x.exec.cfg.Log.Warn("a job's way to the network could not be taken down", "execution", x.rec.ID, "error", err)
	}
}

func (x *execution) ID() string { return x.rec.ID }

// Start lets the guest run; it returns when its running time has begun.
func (x *execution) Start(ctx context.Context) error {
	x.mu.Lock()
	again, over := x.asked, x.over || x.cause != ""
	x.asked = true
	x.mu.Unlock()
	switch {
	case again:
		return errTwice
	case over:
		return errEnded
	}
	answer := make(chan error, 1)
	x.starts <- answer
	select {
	case err := <-answer:
		return err
	case <-x.gone:
	case <-ctx.Done():
		return ctx.Err()
	}
	select { // both may have been ready
	case err := <-answer:
		return err
	default:
		return errEnded
	}
}

func (x *execution) Usage() executor.Usage {
	x.mu.Lock()
	defer x.mu.Unlock()
	u := executor.Usage{Ran: x.used.Ran, CPU: x.used.CPU, Memory: x.used.Memory, Log: x.log.size()}
	if x.begun != 0 && !x.over {
		u.Running, u.Ran = true, control.Monotonic()-x.begun
		x.told = u.Ran
	}
	if x.over {
		u.Log = x.used.Log
	}
	return u
}

// Stop kills the guest and waits for the result.
func (x *execution) Stop(ctx context.Context) error {
	x.kill(executor.Stopped)
	select {
	case <-x.done:
		return nil
	case <-x.gone:
		select {
		case <-x.done:
			return nil
		default:
			return errClosed
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kill asks for the end; the first cause counts.
func (x *execution) kill(cause executor.Cause) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cause == "" && !x.over {
		x.cause = cause
		close(x.killed)
	}
}

func (x *execution) Done() <-chan struct{} { return x.done }

func (x *execution) Result() executor.Result {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.used
	return executor.Result{Cause: r.Cause, ExitCode: r.ExitCode, Detail: r.Detail, Ran: r.Ran}
}

func (x *execution) OutputDir() string {
	if x.rec.Outputs == "" {
		return ""
	}
	return filepath.Join(x.dir, diskDir, outDir)
}

// LogFile is none: whoever keeps the log reads it to its end.
func (x *execution) LogFile() string { return "" }

// Remove deletes the container with its volumes, the disk and the workspace.
func (x *execution) Remove() error {
	select {
	case <-x.done:
	default:
		return errors.New("an execution can be removed only after it ended; stop it first")
	}
	<-x.gone
	if err := x.exec.removeContainer(x.rec.Container); err != nil {
		return err
	}
	removeCgroup(x.rec.Cgroup)
	if err := x.exec.discard(x.dir); err != nil {
		return fmt.Errorf("the workspace could not be removed: %w", err)
	}
	x.exec.forget(x)
	if x.exec.open() != nil { // nobody else lets go of the connections any more
		return x.exec.api.Close()
	}
	return nil
}

// conclude keeps the result. Where that fails the execution has ended all the
// same, and a restart concludes it anew.
func (x *execution) conclude(r result) {
	x.mu.Lock()
	r.CPU, r.Memory = max(r.CPU, x.used.CPU), max(r.Memory, x.used.Memory)
	x.mu.Unlock()
	r.Log = x.log.size()
	if err := x.keep(resultFile, r); err != nil {
		x.exec.cfg.Log.Error("a result could not be kept", "execution", x.rec.ID, "error", err)
	}
	x.mu.Lock()
	x.used, x.over = r, true
	x.mu.Unlock()
	close(x.done)
	x.log.finish()
}
