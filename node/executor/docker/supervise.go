package docker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"souk/node/executor"
	"souk/node/executor/docker/pid1"
	"souk/node/executor/wasm/control"
)

const (
	lookEvery = 250 * time.Millisecond // at disk and use
	killRetry = time.Second
	// lateBy is how much later than this process a busy daemon may know that a
	// container was killed; then its end is concluded without its word.
	lateBy   = 250 * time.Millisecond
	askAgain = 200 * time.Millisecond

	notFound      = 127 // exit codes of a program that can't be found or run
	notExecutable = 126
)

// begin starts the container. A program that can't be run is the job's own
// doing, and such an execution has begun and ended.
func (x *execution) begin() error {
	if err := x.log.open(); err != nil {
		return x.failed("the log could not be made", err)
	}
	now := control.Monotonic()
	if err := x.keep(startedFile, started{At: now, Boot: boot()}); err != nil {
		return x.failed("the start could not be recorded", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_, err := x.exec.api.ContainerStart(ctx, x.rec.Container, client.ContainerStartOptions{})
	if err == nil || x.unrunnable(ctx) {
		// The daemon's work of starting is not the job's time.
		now = control.Monotonic()
		err = x.keep(startedFile, started{At: now, Boot: boot()})
	}
	x.mu.Lock()
	x.begun = now
	x.mu.Unlock()
	if err == nil {
		return nil
	}
	return x.failed("this provider's Docker could not start the container", err)
}

// unrunnable says whether the daemon blames the image's program for a start that failed.
func (x *execution) unrunnable(ctx context.Context) bool {
	r, err := x.exec.api.ContainerInspect(ctx, x.rec.Container, client.ContainerInspectOptions{})
	if err != nil || r.Container.State == nil {
		return false
	}
	code := r.Container.State.ExitCode
	return code == notFound || code == notExecutable
}

// failed ends an execution that doesn't begin. What Docker or the kernel said is not
// for the client.
func (x *execution) failed(why string, err error) error {
	x.conclude(result{Cause: executor.Failed, Detail: why, Ran: x.ran()})
	return unable(err, "%s", why)
}

func (x *execution) ran() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.begun == 0 {
		return 0
	}
	return control.Monotonic() - x.begun
}

// supervise follows a container that was started until it ended, or this
// process lets go of it.
func (x *execution) supervise() {
	ctx, cancel := context.WithCancel(x.life)
	defer cancel()
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		x.collect(ctx)
	}()
	exited := make(chan exit, 1)
	go func() {
		defer close(exited)
		exited <- x.await(ctx)
	}()
	defer func() { // neither outlives supervise
		cancel()
		<-collected
		for range exited {
		}
	}()
	held := x.hold(ctx)
	defer held.release()
	limit := time.NewTimer(x.rec.Limits.Time - x.ran())
	defer limit.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	killed, retry, hurry := x.killed, (<-chan time.Time)(nil), (<-chan time.Time)(nil)
	var dead exit
	for {
		select {
		case e := <-exited:
			if !e.known {
				return // let go of
			}
			x.finish(e, cancel, collected)
			return
		case <-limit.C:
			x.kill(executor.LimitTime)
		case <-look.C:
			x.look()
		case <-killed:
			killed, retry = nil, time.Tick(killRetry)
			if held.kill(killRetry) {
				dead, hurry = exit{known: true, code: killedCode, ran: x.ran()}, time.After(lateBy)
			} else {
				x.strike()
			}
		case <-hurry:
			x.finish(dead, cancel, collected)
			return
		case <-retry:
			x.strike()
		}
	}
}

// hold takes hold of the container's first process, where that can be had.
func (x *execution) hold(ctx context.Context) *process {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := x.exec.api.ContainerInspect(ctx, x.rec.Container, client.ContainerInspectOptions{})
	if err != nil || r.Container.State == nil || !r.Container.State.Running {
		return nil
	}
	return holdProcess(r.Container.State.Pid, x.rec.Container)
}

// strike kills the container. Where the daemon doesn't answer it is asked again.
func (x *execution) strike() {
	ctx, cancel := context.WithTimeout(x.life, callTimeout)
	defer cancel()
	_, err := x.exec.api.ContainerKill(ctx, x.rec.Container, client.ContainerKillOptions{Signal: "KILL"})
	if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) { // those have ended
		x.exec.cfg.Log.Warn("a container could not be killed", "execution", x.rec.ID, "error", err)
	}
}

// look notes what is used, and ends an execution that has filled its disk.
func (x *execution) look() {
	cpu, peak := x.measure()
	x.mu.Lock()
	x.used.CPU, x.used.Memory = max(x.used.CPU, cpu), max(x.used.Memory, peak)
	x.mu.Unlock()
	if x.overDisk() {
		x.kill(executor.LimitDisk)
	}
}

// measure gives CPU time and the most memory so far.
func (x *execution) measure() (time.Duration, int64) {
	if x.rec.Cgroup != "" {
		return cgroupUse(x.rec.Cgroup)
	}
	ctx, cancel := context.WithTimeout(x.life, killRetry)
	defer cancel()
	return x.exec.stats(ctx, x.rec.Container)
}

func (x *execution) overDisk() bool {
	at := filepath.Join(x.dir, diskDir)
	used, err := inUse(at)
	return err == nil && used-x.rec.Disk.Base > x.rec.Limits.Disk || full(at)
}

// exit is how the daemon says that a container ended.
type exit struct {
	ran    time.Duration // since the begin, as this process counts
	took   time.Duration // as the daemon's clock has it; 0 is unknown
	ended  time.Time     // by the daemon's clock; zero is unknown
	known  bool          // false: this process let go of it
	lost   bool          // the daemon went away and took the container along, or never came back
	code   int
	oom    bool
	detail string
}

// await waits for the container's end.
func (x *execution) await(ctx context.Context) exit {
	lost := false
	for {
		waited := x.exec.waitExit(ctx, x.rec.Container)
		ran := x.ran()
		e, running, err := x.state(ctx)
		switch {
		case ctx.Err() != nil:
			return exit{}
		case err != nil:
			e = exit{known: true, lost: true, detail: fmt.Sprintf("Docker stopped in the middle of the job and was not back after %s", x.exec.cfg.Grace)}
		case running:
			lost = true // only the way to the daemon broke off
			rest(ctx, askAgain)
			continue
		}
		e.lost = e.lost || (lost || waited != nil) && e.code >= killedCode
		e.ran = ran
		return e
	}
}

// state asks where the container is, for as long as the daemon may be away.
func (x *execution) state(ctx context.Context) (e exit, running bool, err error) {
	for began := time.Now(); ; {
		e, running, err = x.exec.state(ctx, x.rec.Container)
		if err == nil || time.Since(began) > x.exec.cfg.Grace || ctx.Err() != nil {
			return e, running, err
		}
		rest(ctx, askAgain)
	}
}

// killedCode is the least exit code of a process that a signal ended.
const killedCode = 128

// nearMemory is how far below its limit, in bytes, a job may be when the kernel
// finds no memory for it: what is asked for at once, and counted in advance.
const nearMemory = 1 << 20

// rest waits for a moment, or for the end of ctx.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (e *Executor) waitExit(ctx context.Context, id string) error {
	w := e.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case <-w.Result:
		return nil
	case err := <-w.Error:
		return err
	}
}

// state is where the container is. One that is gone, or going, has ended by
// somebody else's hand.
func (e *Executor) state(ctx context.Context, id string) (x exit, running bool, err error) {
	r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return exit{known: true, lost: true, detail: removed}, false, nil
	}
	if err != nil {
		return x, false, err
	}
	s := r.Container.State
	if s == nil {
		return x, false, errors.New("Docker says nothing of the container's state") //nolint:staticcheck // a name
	}
	x = exit{known: true, code: s.ExitCode, oom: s.OOMKilled}
	x.took, x.ended = took(s)
	if s.Dead || s.Status == container.StateRemoving {
		x.lost, x.detail = true, removed
	}
	return x, s.Running || s.Paused || s.Restarting, nil
}

const removed = "somebody removed the container from Docker"

// took is how long a container ran, and when it ended, by the daemon's clock.
func took(s *container.State) (time.Duration, time.Time) {
	from, err1 := time.Parse(time.RFC3339Nano, s.StartedAt)
	to, err2 := time.Parse(time.RFC3339Nano, s.FinishedAt)
	if err1 != nil || err2 != nil || to.Before(from) {
		return 0, time.Time{}
	}
	return to.Sub(from), to
}

// lasted is the job's running time. The daemon tells the end late, so its own
// word on when that was counts, within what is known here: the clock may have been
// set, and nothing is taken back of what was told before.
func (x *execution) lasted(e exit, cause executor.Cause) time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	ran := e.ran
	if e.took > 0 {
		ran = min(ran, e.took)
	}
	if cause == executor.LimitTime {
		ran = max(ran, x.rec.Limits.Time)
	}
	return max(ran, x.told)
}

// finish concludes an execution whose container ended.
func (x *execution) finish(e exit, cancel context.CancelFunc, collected <-chan struct{}) {
	cpu, peak := x.measure()
	// A daemon that is busy misses that the kernel killed for want of memory.
	e.oom = e.oom || e.code == killedCode+int(unix.SIGKILL) && peak > x.rec.Limits.Memory-nearMemory
	over := x.overDisk()
	x.drain(cancel, collected)
	cause := x.whose(&e)
	r := result{Ran: x.lasted(e, cause), CPU: cpu, Memory: peak}
	r.Cause, r.ExitCode, r.Detail = verdict(e, cause, over)
	if left, err := tidy(filepath.Join(x.dir, diskDir, outDir)); err != nil {
		r.Cause, r.ExitCode, r.Detail = executor.Failed, 0, "the outputs could not be looked through"
		x.exec.cfg.Log.Error(r.Detail, "execution", x.rec.ID, "error", err)
	} else if left > 0 && r.Detail == "" {
		r.Detail = fmt.Sprintf("%d links or special files among the outputs were left out; only files and folders come back", left)
	}
	x.conclude(r)
}

// whose gives the cause for which a container was killed, by this process or, while
// there was none, by the container's own first process.
func (x *execution) whose(e *exit) executor.Cause {
	x.mu.Lock()
	cause := x.cause
	x.mu.Unlock()
	life, outlast := x.exec.life, x.exec.cfg.Outlast
	if !e.ended.IsZero() && e.ended.Before(life.since) {
		cause = "" // it was over before anybody here asked for its end
	}
	switch {
	case cause != "" || e.code != pid1.ExitKilled:
	case e.took >= x.rec.Limits.Time:
		cause = executor.LimitTime
	case life.abandoned(e.ended, outlast):
		e.lost, e.detail = true, fmt.Sprintf("this provider's node was away for more than %s, and so the job was ended", outlast)
	}
	return cause
}

// verdict is why an execution ended.
func verdict(e exit, killed executor.Cause, overDisk bool) (executor.Cause, int, string) {
	switch {
	case killed != "" && (e.code >= killedCode || e.lost):
		return killed, 0, ""
	case e.lost && e.detail == "":
		return executor.Failed, 0, "Docker was stopped in the middle of the job and ended it"
	case e.lost:
		return executor.Failed, 0, e.detail
	case e.oom && e.code != 0:
		return executor.LimitMemory, 0, ""
	case overDisk:
		return executor.LimitDisk, 0, ""
	}
	return executor.Exited, e.code, e.detail
}
