package docker

import (
	"context"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"souk/node/executor"
)

const (
	lookEvery = 250 * time.Millisecond // at disk and use
	killRetry = time.Second
	// lateBy is how much later than this process a busy daemon may know that a
	// container was killed; then its end is concluded without its word.
	lateBy = 250 * time.Millisecond
)

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
