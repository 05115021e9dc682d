package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

// execution implements executor.Execution.
type execution struct {
	exec *Executor
	dir  string
	spec control.Spec
	link *link // nil for one that had ended when it was found

	gone chan struct{} // closed when nothing of this process touches it any more
	done chan struct{} // closed when it ended and its result is on disk

	mu      sync.Mutex
	status  control.Status
	changed chan struct{} // closed and replaced when status changes or it ends
	started bool          // Start was called
	result  control.Result
}

var _ executor.Execution = (*execution)(nil)

func newExecution(e *Executor, dir string, spec control.Spec, l *link) *execution {
	return &execution{
		exec: e, dir: dir, spec: spec, link: l,
		gone: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
		status: control.Status{State: control.Spare},
	}
}

// attach follows the supervisor until the execution ended or the connection did,
// in a goroutine that closes gone.
func (x *execution) attach() {
	go func() {
		defer close(x.gone)
		if x.link.statuses(x.update) {
			x.exec.pool.put(x.link)
			x.conclude()
			return
		}
		if x.exec.letGo() {
			return
		}
		x.link.wait()
		x.conclude()
		x.link.clear()
	}()
}

func (x *execution) update(s control.Status) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.status = s
	x.wake()
}

// wake tells all who wait for a change; x.mu is held.
func (x *execution) wake() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// letGo says whether this process gave its executions up without ending them.
func (e *Executor) letGo() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.detached
}

// conclude takes the result from the supervisor or from disk. Where the
// supervisor died without writing one, the execution failed, and that is written.
func (x *execution) conclude() {
	x.mu.Lock()
	told := x.status.Result
	x.mu.Unlock()
	var r control.Result
	var err error
	if told != nil {
		r = *told
	} else {
		r, err = concluded(x.dir, x.spec, x.Usage().Ran)
	}
	if err != nil {
		x.exec.cfg.Log.Error("a result could not be kept", "execution", x.spec.ID, "error", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result = r
	x.status = control.Status{State: control.Ended, Started: x.status.Started, CPU: r.CPU, Memory: r.Memory, Log: r.Log}
	close(x.done)
	x.wake()
}

// concluded is the result in a workspace that nothing runs in any more.
func concluded(dir string, spec control.Spec, ran time.Duration) (r control.Result, err error) {
	if control.Read(dir, control.ResultFile, &r) == nil {
		return r, nil
	}
	r = control.Result{Cause: string(executor.Failed), Detail: "the sandbox was killed or the machine restarted", Ran: ran}
	if info, err := os.Stat(filepath.Join(dir, control.LogFile)); err == nil {
		r.Log = info.Size()
	}
	if spec.Outputs != "" {
		_ = os.Mkdir(filepath.Join(dir, control.OutDir), 0o700) // what it had written is lost with its box
	}
	return r, control.Put(dir, control.ResultFile, r)
}

// await blocks until the status satisfies ok, the execution ended, or ctx did.
func (x *execution) await(ctx context.Context, ok func(control.Status) bool) error {
	for {
		x.mu.Lock()
		s, changed := x.status, x.changed
		x.mu.Unlock()
		if ok(s) || s.State == control.Ended {
			return nil
		}
		select {
		case <-changed:
		case <-x.gone:
			if x.exec.letGo() {
				return errClosed
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// load has the supervisor load the module.
func (x *execution) load(ctx context.Context) error {
	if err := x.link.send(control.Command{Op: control.OpPrepare, Dir: x.dir, Spec: &x.spec}); err != nil {
		return fmt.Errorf("the sandbox does not answer: %w", err)
	}
	err := x.await(ctx, func(s control.Status) bool { return s.State == control.Ready })
	if err != nil {
		return err
	}
	if r, ended := x.ended(); ended {
		return fmt.Errorf("the module could not be prepared: %s", r.Detail)
	}
	return nil
}

func (x *execution) ended() (control.Result, bool) {
	select {
	case <-x.done:
		return x.result, true
	default:
		return control.Result{}, false
	}
}

func (x *execution) ID() string { return x.spec.ID }

// Start lets the guest run; it returns when its running time has begun.
func (x *execution) Start(ctx context.Context) error {
	x.mu.Lock()
	again := x.started || x.status.State == control.Running
	x.started = true
	x.mu.Unlock()
	if again {
		return errors.New("an execution can be started once only, and this one was")
	}
	if _, ended := x.ended(); ended {
		return errors.New("the execution ended before it was started")
	}
	if err := x.link.send(control.Command{Op: control.OpStart}); err != nil {
		return fmt.Errorf("the sandbox does not answer: %w", err)
	}
	return x.await(ctx, func(s control.Status) bool { return s.State == control.Running })
}

func (x *execution) Usage() executor.Usage {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.status
	u := executor.Usage{CPU: s.CPU, Memory: s.Memory, Log: s.Log}
	switch s.State {
	case control.Running:
		u.Running, u.Ran = true, control.Monotonic()-s.Started
	case control.Ended:
		u.Ran = x.result.Ran
	}
	return u
}

// Stop kills the guest and waits for the result.
func (x *execution) Stop(ctx context.Context) error {
	x.stop()
	select {
	case <-x.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop asks for the end. A supervisor that can't be asked is one that is
// ending, or that will when it has no node.
func (x *execution) stop() {
	if x.link == nil {
		return
	}
	if x.link.send(control.Command{Op: control.OpStop}) != nil {
		_ = x.link.conn.Close()
	}
}

// detach leaves the execution to whoever finds it next.
func (x *execution) detach() {
	if x.link != nil {
		_ = x.link.conn.Close()
	}
}

func (x *execution) Done() <-chan struct{} { return x.done }

func (x *execution) Result() executor.Result {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.result
	return executor.Result{Cause: executor.Cause(r.Cause), ExitCode: r.ExitCode, Detail: r.Detail, Ran: r.Ran}
}

func (x *execution) OutputDir() string {
	if x.spec.Outputs == "" {
		return ""
	}
	return filepath.Join(x.dir, control.OutDir)
}

func (x *execution) LogFile() string { return filepath.Join(x.dir, control.LogFile) }

func (x *execution) Remove() error {
	if _, ended := x.ended(); !ended {
		return errors.New("an execution can be removed only after it ended; stop it first")
	}
	if err := x.exec.discard(x.dir); err != nil {
		return fmt.Errorf("the workspace could not be removed: %w", err)
	}
	x.exec.forget(x)
	return nil
}
