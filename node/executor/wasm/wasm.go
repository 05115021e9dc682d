// Package wasm runs WebAssembly jobs: WASI preview 1 modules on wazero, in
// processes apart (cmd/souk-sandbox), under limits that are kept by killing the
// process. One process runs one job at a time, and after it only jobs of the same
// client.
//
// It promises that a job sees only its inputs, its outputs folder, its
// arguments and environment; that nothing which ran for one owner is reused
// for another; that an execution goes on for control.OrphanGrace without its
// node, so that a node which was killed and restarted finds it again; and that
// nothing is left running after that. A job is deterministic unless it asks
// for real time: fixed seed, a clock that passes only as the job looks at it
// or sleeps, sorted folders.
//
// It never runs guest code in the node's process, gives a job a network, or
// gives it a GPU.
package wasm

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

// Kind is what offers and jobs call this executor.
const Kind = "wasm"

// Config says where an Executor lives and what it is built on.
type Config struct {
	Dir         string          // folder of its own for workspaces and compiled modules
	SandboxPath string          // the souk-sandbox binary; empty: beside this program, else in $PATH
	Source      executor.Source // where modules and inputs come from
	Spares      int             // fresh sandboxes started ahead of need, and beside them a compiler; 0 is none
	WarmFor     time.Duration   // how long a sandbox waits for another job of its client; 0: 10 s
	CompileTime time.Duration   // how long compiling one module may take; 0: 60 s
	Log         *slog.Logger    // nil: slog.Default
}

// Executor implements executor.Executor.
type Executor struct {
	cfg     Config
	sandbox string // path of the binary
	boot    string // names this process among those that had the folder
	machine string // names what machine code is made by and for
	pool    *pool
	compile singleflight.Group
	spare   chan *compiler // one that waits; of no length where there are no spares

	evicting sync.RWMutex // held for reading while the cache is used
	untidy   atomic.Bool  // a module was compiled since tidy

	life      context.Context // ends with Close, and compiling with it
	end       context.CancelFunc
	compiling sync.WaitGroup

	mu      sync.Mutex
	running map[string]*execution // by ID: not yet removed
	closed  bool
	// detached says that executions go on without this process, so a lost
	// connection is no end.
	detached bool
}

var _ executor.Executor = (*Executor)(nil)

var errClosed = errors.New("the wasm executor is closed")

// New makes the folders and starts the spares. It fails where the sandbox
// binary can't be found or Dir can't be written.
func New(cfg Config) (*Executor, error) {
	if cfg.Source == nil || cfg.Dir == "" || cfg.Spares < 0 || min(cfg.CompileTime, cfg.WarmFor) < 0 {
		return nil, errors.New("the wasm executor needs a folder, a source, and spares and times that are not negative")
	}
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	path, err := findSandbox(cfg.SandboxPath)
	if err != nil {
		return nil, err
	}
	e := &Executor{cfg: cfg, sandbox: path, boot: rand.Text(), running: map[string]*execution{}, spare: make(chan *compiler, min(cfg.Spares, 1))}
	if e.machine, err = fingerprint(path); err != nil {
		return nil, err
	}
	e.life, e.end = context.WithCancel(context.Background())
	if err := e.clean(); err != nil {
		e.end()
		return nil, fmt.Errorf("the wasm executor's folder can't be used: %w", err)
	}
	e.pool = newPool(path, e.boxes(), cfg.Spares, cfg.WarmFor, cfg.Log)
	e.untidy.Store(true)
	e.tidy(0)
	return e, nil
}

func (c Config) withDefaults() Config {
	c.WarmFor, c.CompileTime = cmp.Or(c.WarmFor, warmFor), cmp.Or(c.CompileTime, compileTime)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// The folders in Config.Dir.
func (e *Executor) jobs() string  { return filepath.Join(e.cfg.Dir, "jobs") }
func (e *Executor) cache() string { return filepath.Join(e.cfg.Dir, "cache", e.machine) }
func (e *Executor) boxes() string { return filepath.Join(e.cfg.Dir, "boxes", e.boot) }
func (e *Executor) waste() string { return filepath.Join(e.cfg.Dir, "waste") }

// clean makes the folders, and removes what a former process was about to.
func (e *Executor) clean() error {
	if err := os.RemoveAll(e.waste()); err != nil {
		return err
	}
	for _, dir := range []string{e.jobs(), e.cache(), e.boxes(), e.waste()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return e.evict(maxCache, maxEntries)
}

// Kind is "wasm".
func (e *Executor) Kind() string { return Kind }

// Close ends the sandboxes that wait and, unless detach is set, stops every execution and
// waits for it. After a detaching Close the executions have
// control.OrphanGrace to be found by another Executor's Recover. A second Close
// does nothing.
func (e *Executor) Close(detach bool) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed, e.detached = true, detach
	open := make([]*execution, 0, len(e.running))
	for _, x := range e.running {
		open = append(open, x)
	}
	e.mu.Unlock()
	e.end()
	e.compiling.Wait()
	e.unstock()
	for _, x := range open {
		if detach {
			x.detach()
		} else {
			x.stop()
		}
	}
	for _, x := range open {
		<-x.gone
	}
	e.pool.close()
	return nil
}

// findSandbox gives the path of the sandbox binary.
func findSandbox(path string) (string, error) {
	const name = "souk-sandbox"
	if path == "" {
		if self, err := os.Executable(); err == nil {
			path = filepath.Join(filepath.Dir(self), name)
		}
		if _, err := os.Stat(path); err != nil {
			found, err := exec.LookPath(name)
			if err != nil {
				return "", errors.New("souk-sandbox, which runs WASM jobs, was not found: put it beside souk or in $PATH")
			}
			path = found
		}
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s, which should run WASM jobs, is not a program that can be started", path)
	}
	return filepath.Abs(path)
}

// Check says in one sentence what keeps jobs from running here. It is nil
// where they can run, if need be with less isolation: Isolation tells.
func (e *Executor) Check(ctx context.Context) error {
	_, err := e.isolation(ctx)
	return err
}

// Isolation says in one sentence what shuts a job in on this machine.
func (e *Executor) Isolation(ctx context.Context) (string, error) {
	found, err := e.isolation(ctx)
	if err != nil {
		return "", err
	}
	filter := "a system call filter"
	if !found.Seccomp {
		filter = "no system call filter"
	}
	switch {
	case found.Landlock == 0:
		return "this kernel has no Landlock (Linux 5.13 or newer has), so WASM jobs are shut in by wazero, resource limits and " + filter + " only", nil
	case !found.Threads:
		return "souk-sandbox was built with cgo, so Landlock covers only the thread that runs a job; build it with CGO_ENABLED=0", nil
	default:
		return fmt.Sprintf("WASM jobs are shut in by wazero, resource limits, Landlock (version %d) and %s", found.Landlock, filter), nil
	}
}

func (e *Executor) isolation(ctx context.Context) (found control.Isolation, err error) {
	out, err := exec.CommandContext(ctx, e.sandbox, "check").Output()
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		return found, fmt.Errorf("%s can't be started, so no WASM job can run: install the one that came with this souk (%w)", e.sandbox, err)
	}
	return found, nil
}
