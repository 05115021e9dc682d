package wasm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
	"souk/protocol/market"
)

// Prepare lays out the workspace, compiles the module where that wasn't done
// before, and has a sandbox load it.
func (e *Executor) Prepare(ctx context.Context, spec executor.Spec) (executor.Execution, error) {
	if err := validate(spec); err != nil {
		return nil, err
	}
	dir := filepath.Join(e.jobs(), spec.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the workspace could not be made: %w", err)
	}
	x, err := e.prepare(ctx, dir, spec)
	e.tidy(tidyAfter)
	if err != nil {
		return nil, errors.Join(err, e.discard(dir))
	}
	return x, nil
}

func (e *Executor) prepare(ctx context.Context, dir string, spec executor.Spec) (*execution, error) {
	l, err := e.pool.take(ctx, tenantOf(spec), spec.Module.String())
	if err != nil {
		return nil, err
	}
	x, err := e.lay(ctx, dir, spec, l)
	if err != nil {
		e.pool.untouched(l)
		return nil, err
	}
	l.tenant = tenantOf(spec)
	x.attach()
	if err := x.load(ctx); err != nil {
		x.stop()
		<-x.gone
		e.forget(x)
		return nil, err
	}
	return x, nil
}

// lay puts all that the execution needs into its workspace and its sandbox's box.
func (e *Executor) lay(ctx context.Context, dir string, spec executor.Spec, l *link) (*execution, error) {
	if err := e.layModule(ctx, l, spec); err != nil {
		return nil, err
	}
	disk, err := e.layInputs(ctx, dir, spec)
	if err != nil {
		return nil, err
	}
	inner := sandboxed(spec, disk)
	inner.Box = l.box
	if err := control.Put(dir, control.SpecFile, inner); err != nil {
		return nil, err
	}
	x := newExecution(e, dir, inner, l)
	return x, e.add(x)
}

// begin counts a compiling that Close waits for, unless the executor was closed.
func (e *Executor) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.compiling.Add(1)
	}
	return !e.closed
}

// add registers an execution, unless the executor was closed.
func (e *Executor) add(x *execution) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	e.running[x.spec.ID] = x
	return nil
}

func (e *Executor) forget(x *execution) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, x.spec.ID)
}

// discard removes a workspace, by way of the waste folder: a crash half-way
// leaves nothing that looks like a workspace.
func (e *Executor) discard(dir string) error {
	aside, err := os.MkdirTemp(e.waste(), "")
	if err != nil {
		return err
	}
	err = os.Rename(dir, filepath.Join(aside, "workspace"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(aside))
}

// layModule puts the module into the box, unless an execution before did.
func (e *Executor) layModule(ctx context.Context, l *link, spec executor.Spec) error {
	verdict, had := l.modules[spec.Module.String()]
	if !had {
		var err error
		if verdict, err = e.layNewModule(ctx, l, spec); err != nil {
			return err
		}
	}
	if verdict.MinMemory > spec.Limits.Memory {
		return refuse("the module starts with %d bytes of memory, and the job's limit is %d", verdict.MinMemory, spec.Limits.Memory)
	}
	return nil
}

func (e *Executor) layNewModule(ctx context.Context, l *link, spec executor.Spec) (v control.Verdict, err error) {
	name := spec.Module.String()
	dir := filepath.Join(l.box, control.BoxRead, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return v, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	module := filepath.Join(dir, control.BoxFile)
	if err := e.cfg.Source.Export(ctx, spec.Owner, spec.Module, module, market.MaxModuleBytes); err != nil {
		return v, fmt.Errorf("the module could not be read: %w", err)
	}
	info, err := os.Lstat(module)
	if err != nil {
		return v, err
	}
	if !info.Mode().IsRegular() {
		return v, refuse("the module is a folder; it must be one WebAssembly file")
	}
	if v, err = e.compiled(ctx, spec.Module, module, filepath.Join(dir, control.BoxCode)); err != nil {
		return v, err
	}
	l.modules[name] = v
	return v, nil
}

// layInputs makes the guest's tree and gives back what the disk limit leaves for outputs.
func (e *Executor) layInputs(ctx context.Context, dir string, spec executor.Spec) (int64, error) {
	root := filepath.Join(dir, control.RootDir)
	if err := os.Mkdir(root, 0o700); err != nil {
		return 0, err
	}
	left := spec.Limits.Disk
	for _, in := range spec.Inputs {
		size, err := e.layInput(ctx, spec.Owner, root, in, left)
		if err != nil {
			return 0, err
		}
		left -= size
	}
	if spec.Outputs == "" {
		return left, nil
	}
	// The guest's "/" lists the outputs folder too.
	if err := os.MkdirAll(filepath.Join(root, spec.Outputs), 0o700); err != nil {
		return 0, err
	}
	return left, os.Mkdir(filepath.Join(dir, control.OutDir), 0o700)
}

func (e *Executor) layInput(ctx context.Context, owner, root string, in executor.Input, left int64) (int64, error) {
	dst := filepath.Join(root, in.At)
	if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
		return 0, err
	}
	if err := e.cfg.Source.Export(ctx, owner, in.CID, dst, left); err != nil {
		return 0, fmt.Errorf("the input at %s could not be laid out: %w", in.At, err)
	}
	var size int64
	err := filepath.WalkDir(dst, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return refuse("the input at %s holds something that is neither file nor folder", in.At)
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			size += info.Size()
		}
		return err
	})
	if err == nil && size > left {
		err = refuse("the inputs have more bytes than the job's disk limit of them allows: %d are left for %s, which has %d", left, in.At, size)
	}
	return size, err
}
