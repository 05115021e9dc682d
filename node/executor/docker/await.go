package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// askAgain is how long a daemon that doesn't answer is left alone.
const askAgain = 200 * time.Millisecond

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
