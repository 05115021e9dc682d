package wasm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

// Recover takes up each workspace that a former process left: it attaches to
// the supervisors that still live, and concludes the rest. It is called once,
// before Prepare. Workspaces whose Prepare never returned are removed.
func (e *Executor) Recover(ctx context.Context) ([]executor.Execution, error) {
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
		var spec control.Spec
		if control.Read(dir, control.SpecFile, &spec) != nil || spec.ID != entry.Name() {
			if err := e.discard(dir); err != nil {
				return found, fmt.Errorf("an unfinished workspace could not be removed: %w", err)
			}
			continue
		}
		x := newExecution(e, dir, spec)
		if err := e.add(x); err != nil {
			return found, err
		}
		x.resume(ctx)
		found = append(found, x)
	}
	return found, nil
}

// resume attaches to the supervisor, or where there is none takes the result.
func (x *execution) resume(ctx context.Context) {
	l, err := dial(x.dir)
	if err != nil {
		x.conclude()
		close(x.gone)
		return
	}
	x.attach(l)
	// The first status says where it is.
	_ = x.await(ctx, func(s control.Status) bool { return s.State != control.Spare })
}
