package docker

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"souk/node/executor"
	"souk/node/executor/docker/pid1"
)

// killedCode is the least exit code of a process that a signal ended.
const killedCode = 128

// nearMemory is how far below its limit, in bytes, a job may be when the kernel
// finds no memory for it: what is asked for at once, and counted in advance.
const nearMemory = 1 << 20

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
