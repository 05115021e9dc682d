package docker

import (
	"context"
	"time"

	"github.com/moby/moby/client"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

// Exit codes of a program that can't be found or run.
const (
	notFound      = 127
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
