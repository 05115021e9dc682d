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
	used := map[string]bool{}
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
		x, err := e.resume(ctx, dir, spec)
		if err != nil {
			return found, err
		}
		found = append(found, x)
		if x.link != nil {
			used[x.link.box] = true
		}
	}
	return found, e.sweep(used)
}

// sweep removes the boxes of former processes that nothing runs in.
func (e *Executor) sweep(used map[string]bool) error {
	all, err := filepath.Glob(filepath.Join(filepath.Dir(e.boxes()), "*", "*"))
	if err != nil {
		return err
	}
	for _, box := range all {
		if filepath.Dir(box) != e.boxes() && !used[box] {
			if err := os.RemoveAll(box); err != nil {
				return fmt.Errorf("a former sandbox's folder could not be removed: %w", err)
			}
			_ = os.Remove(filepath.Dir(box)) // the last one takes the folder along
		}
	}
	return nil
}

// resume attaches to the supervisor, or where there is none takes the result.
func (e *Executor) resume(ctx context.Context, dir string, spec control.Spec) (*execution, error) {
	l, err := dial(dir)
	if err != nil {
		l = nil
	}
	if l != nil {
		l.box = spec.Box
	}
	x := newExecution(e, dir, spec, l)
	if l == nil {
		x.conclude()
		close(x.gone)
		return x, e.add(x)
	}
	if err := e.add(x); err != nil {
		_ = l.conn.Close()
		return nil, err
	}
	x.attach()
	// The first status says where it is.
	return x, x.await(ctx, func(s control.Status) bool { return s.State != control.Spare })
}
