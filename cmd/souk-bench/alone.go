package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"souk/node"
	"souk/node/executor"
	"souk/node/executor/wasm"
)

// workshop is souk's WASM executor, with nothing around it.
type workshop struct {
	exec *wasm.Executor
	dir  string
	jobs atomic.Int64
}

// modules are what the executor takes its programs from.
type modules struct{ dir string }

func (m modules) add(module []byte) (cid.Cid, error) {
	sum, err := multihash.Sum(module, multihash.SHA2_256, -1)
	if err != nil {
		return cid.Undef, err
	}
	c := cid.NewCidV1(cid.Raw, sum)
	return c, os.WriteFile(filepath.Join(m.dir, c.String()), module, 0o600)
}

// Export implements executor.Source.
func (m modules) Export(_ context.Context, _ string, root cid.Cid, dst string, _ int64) error {
	module, err := os.ReadFile(filepath.Join(m.dir, root.String()))
	if err != nil {
		return err
	}
	return os.WriteFile(dst, module, 0o600)
}

// newWorkshop makes an executor as a provider does. Whoever makes one closes it.
func newWorkshop() (*workshop, func() error, error) {
	return newWorkshopWith(wasm.Config{Spares: node.DefaultSpares})
}

func newWorkshopWith(cfg wasm.Config) (w *workshop, close func() error, err error) {
	sandbox, err := beside("souk-sandbox")
	if err != nil {
		return nil, nil, err
	}
	dir, remove, err := scratch()
	if err != nil {
		return nil, nil, err
	}
	w = &workshop{dir: dir}
	cfg.Dir, cfg.SandboxPath, cfg.Source, cfg.Log = filepath.Join(dir, "executions"), sandbox, modules{dir}, slog.New(slog.DiscardHandler)
	if w.exec, err = wasm.New(cfg); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return w, func() error { return errors.Join(w.exec.Close(false), remove()) }, nil
}

// run runs a module to its end, and removes its workspace.
func (w *workshop) run(ctx context.Context, module cid.Cid, limit time.Duration, args ...string) (executor.Result, error) {
	return w.runFor(ctx, "bench", module, limit, args...)
}

func (w *workshop) runFor(ctx context.Context, owner string, module cid.Cid, limit time.Duration, args ...string) (r executor.Result, err error) {
	x, err := w.exec.Prepare(ctx, executor.Spec{
		ID: fmt.Sprintf("job%d", w.jobs.Add(1)), Owner: owner, Module: module, Args: args,
		Limits: executor.Limits{CPU: 1, Memory: 256 << 20, Disk: 16 << 20, Log: 1 << 20, Time: limit},
	})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, x.Remove()) }()
	if err := x.Start(ctx); err != nil {
		return r, errors.Join(err, x.Stop(context.WithoutCancel(ctx)))
	}
	select {
	case <-x.Done():
		return x.Result(), nil
	case <-ctx.Done():
		return r, errors.Join(ctx.Err(), x.Stop(context.WithoutCancel(ctx)))
	}
}

// succeed is run of a module that should end by itself and well.
func (w *workshop) succeed(ctx context.Context, module cid.Cid, args ...string) (executor.Result, error) {
	return w.succeedFor(ctx, "bench", module, args...)
}

func (w *workshop) succeedFor(ctx context.Context, owner string, module cid.Cid, args ...string) (executor.Result, error) {
	r, err := w.runFor(ctx, owner, module, time.Minute, args...)
	if err == nil && (r.Cause != executor.Exited || r.ExitCode != 0) {
		err = fmt.Errorf("it ended with %s %d %s", r.Cause, r.ExitCode, r.Detail)
	}
	return r, err
}

// alone is what an executor does with a module that it knows.
type alone struct {
	p50       time.Duration
	perSecond float64 // inFlight at a time
}

// executorAlone is measured once in a run for each module.
func executorAlone(ctx context.Context, s *session, name string, module []byte) (alone, error) {
	return once(s, "executor/"+name, func() (a alone, err error) {
		w, close, err := newWorkshop()
		if err != nil {
			return a, err
		}
		defer func() { err = errors.Join(err, close()) }()
		c, err := modules{w.dir}.add(module)
		if err != nil {
			return a, err
		}
		once := func(ctx context.Context) error {
			_, err := w.succeed(ctx, c)
			return err
		}
		if a.p50, err = p50(ctx, s.times(100), once); err != nil {
			return a, err
		}
		a.perSecond, err = perSecond(ctx, s.times(1000), inFlight, most/2, once)
		fmt.Fprintf(s, "  the executor alone with %s: %s; %.0f/s with %d in flight\n", name, a.p50.Round(time.Microsecond), a.perSecond, inFlight)
		return a, err
	})
}

// atRest is what an executor may take to be as ready as it was before a job.
const atRest = 100 * time.Millisecond

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// moduleCold runs modules that were never seen, each once.
func moduleCold(ctx context.Context, s *session) (_ []result, err error) {
	w, close, err := newWorkshop()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, close()) }()
	var first, compile []time.Duration
	for i := range s.times(20) {
		if err := pause(ctx, atRest); err != nil { // the executor starts its next compiler, which is to hold up neither side
			return nil, err
		}
		module := bigModule(uint64(1000 + i)) //nolint:gosec // small
		took, err := runBare(ctx, w.dir, module)
		if err != nil {
			return nil, err
		}
		c, err := modules{w.dir}.add(module)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if _, err := w.succeed(ctx, c); err != nil {
			return nil, err
		}
		first, compile = append(first, time.Since(began)), append(compile, took.Compiled)
	}
	r := against("module-cold", millis(median(first)), "ms", millis(median(compile)), "ms to compile it", goal{most: 1.5})
	r.Note = fmt.Sprintf("medians of %d modules of %d KB; the executor alone: workspace, compiling, sandbox, start and end", len(first), len(bigModule(0))/1000)
	return []result{r}, nil
}
