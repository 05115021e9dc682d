package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

// Recover takes up each workspace that a former process left, removes those
// whose Prepare never returned, and this node's containers that have no workspace. It
// is called once, before Prepare. While Docker is not there it fails, and may be
// called again.
func (e *Executor) Recover(ctx context.Context) ([]executor.Execution, error) {
	if err := e.removeOrphans(ctx); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(e.jobs())
	if err != nil {
		return nil, err
	}
	found := make([]executor.Execution, 0, len(entries))
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		dir := filepath.Join(e.jobs(), entry.Name())
		var rec record
		if control.Read(dir, recordFile, &rec) != nil || rec.ID != entry.Name() {
			removeCgroup(parentCgroup("cgroupfs", e.cfg.Node, entry.Name()))
			if err := e.discard(dir); err != nil {
				return found, fmt.Errorf("an unfinished workspace could not be removed: %w", err)
			}
			continue
		}
		x, err := e.resume(ctx, dir, rec)
		if err != nil {
			return found, err
		}
		found = append(found, x)
	}
	return found, nil
}

// removeOrphans removes this node's containers that no record names.
func (e *Executor) removeOrphans(ctx context.Context) error {
	list, err := e.api.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", LabelNode+"="+e.cfg.Node),
	})
	if err != nil {
		return e.unreachable(err)
	}
	var failed error
	for _, c := range list.Items {
		var rec record
		id := c.Labels[LabelExecution]
		if executor.ValidID(id) && control.Read(filepath.Join(e.jobs(), id), recordFile, &rec) == nil && rec.Container == c.ID {
			continue
		}
		failed = errors.Join(failed, e.removeContainer(c.ID))
	}
	return failed
}

// resume takes up one execution where the former process left it.
func (e *Executor) resume(ctx context.Context, dir string, rec record) (*execution, error) {
	x := newExecution(e, dir, rec, nil)
	if control.Read(dir, resultFile, &x.used) == nil {
		return x, x.bury()
	}
	r, err := e.api.ContainerInspect(ctx, rec.Container, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) || err == nil && r.Container.State == nil {
		return x, x.lost("the container is gone from Docker")
	}
	if err != nil {
		return nil, e.unreachable(err)
	}
	var s started
	err = control.Read(dir, startedFile, &s)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	switch waiting := r.Container.State.Status == container.StateCreated; {
	case err == nil && s.Boot != boot():
		return x, x.lost("this machine was restarted in the middle of the job")
	case waiting && !mounted(filepath.Join(dir, diskDir)):
		return x, x.lost("this machine was restarted before the job began")
	case waiting:
		return x, x.carryOn(ctx, 0, x.live)
	case err != nil:
		return x, x.lost("somebody else started the container")
	}
	return x, x.carryOn(ctx, s.At, func() {
		defer x.leave()
		x.supervise()
	})
}

// carryOn goes on with an execution that hasn't ended.
func (x *execution) carryOn(ctx context.Context, begun time.Duration, on func()) error {
	if len(x.rec.Egress) > 0 && x.exec.cfg.Egress != nil {
		w, err := x.exec.wire(ctx, x.rec.spec())
		if err != nil {
			return err
		}
		x.wiring = w
	}
	if begun != 0 {
		x.begun, x.asked = begun, true
		if err := x.log.open(); err != nil {
			return errors.Join(err, x.wiring.end())
		}
	}
	if err := x.exec.add(x); err != nil {
		return errors.Join(err, x.wiring.end())
	}
	go on()
	return nil
}

// lost concludes an execution that can't be had again.
func (x *execution) lost(why string) error {
	if err := x.log.open(); err != nil {
		return err
	}
	x.asked = true
	x.conclude(result{Cause: executor.Failed, Detail: why})
	x.leave()
	return x.exec.add(x)
}

// bury takes up an execution that has its result.
func (x *execution) bury() error {
	if err := x.rec.Disk.remount(x.dir); err != nil {
		return fmt.Errorf("the outputs of an execution that ended can't be had: %w", err)
	}
	x.asked, x.over = true, true
	close(x.done)
	x.log.finish()
	x.leave()
	return x.exec.add(x)
}
