//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"souk/node/executor/wasm/control"
)

const goHeap = 128 << 20 // bytes of Go heap before collecting; guest memory lies outside

// collectEvery is after how many executions the garbage is collected.
const collectEvery = 50

// guest loads the module that its supervisor names, waits for the word, runs
// it, and reports; then the next one of the same client.
func guest() error {
	// A loop in the guest can't be stopped for a collection, so none may start
	// on its own: only an allocation by this goroutine starts one.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(goHeap)
	h := &host{
		reports: json.NewEncoder(os.NewFile(3, "reports")),
		orders:  json.NewDecoder(os.Stdin),
		modules: map[string]*module{},
	}
	if err := h.reports.Encode(control.Report{Up: true}); err != nil {
		return err
	}
	for again := true; again; {
		var err error
		if again, err = h.next(); err != nil {
			return err
		}
	}
	return nil
}

// host is a guest's process.
type host struct {
	reports *json.Encoder
	orders  *json.Decoder
	modules map[string]*module
	runs    int
}

// next is one execution. It tells whether another one may follow.
func (h *host) next() (bool, error) {
	if h.runs++; h.runs%collectEvery == 0 {
		runtime.GC()
	}
	var order guestOrder
	if err := h.orders.Decode(&order); err != nil {
		return false, nil // the supervisor went away
	}
	m, err := h.load(order)
	if err != nil {
		return false, h.reports.Encode(control.Report{Cause: failed, Detail: "the module could not be loaded: " + firstLine(err)})
	}
	if err := h.reports.Encode(control.Report{Ready: true}); err != nil {
		return false, err
	}
	var word guestGo
	if err := h.orders.Decode(&word); err != nil {
		return false, nil
	}
	g := &instance{
		order: order, module: m, memory: &memory{limit: uint64(order.Spec.Memory)}, quota: newQuota(order.Spec.Disk),
		output: &cappedOutput{left: order.Spec.Log + 1},
	}
	report := g.run()
	report.Wrote = g.output.wrote
	report.Again = report.Cause == exited && !g.memory.hit && g.memory.used == 0
	return report.Again, h.reports.Encode(report)
}

// module is one that was loaded.
type module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// load loads a module, unless an execution before this one did. With the first
// the process is shut in.
func (h *host) load(order guestOrder) (*module, error) {
	if m := h.modules[order.Spec.Module]; m != nil {
		return m, nil
	}
	if len(h.modules) == 0 {
		if err := shutIn(order.Spec); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(order.Spec.Box, control.BoxRead, order.Spec.Module)
	config, err := runtimeConfig(filepath.Join(dir, control.BoxCode))
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, control.BoxFile))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	m := &module{runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, m.runtime); err != nil {
		return nil, err
	}
	if m.compiled, err = m.runtime.CompileModule(ctx, raw); err != nil {
		return nil, err
	}
	h.modules[order.Spec.Module] = m
	return m, nil
}

// runtimeConfig is the same for compiling and running: the cache depends on it.
func runtimeConfig(cacheDir string) (wazero.RuntimeConfig, error) {
	cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
	if err != nil {
		return nil, err
	}
	return wazero.NewRuntimeConfig().WithCompilationCache(cache).WithDebugInfoEnabled(false), nil
}

// instance is one execution: whatever can change belongs to it alone.
type instance struct {
	order  guestOrder
	module *module
	memory *memory
	quota  *quota
	output *cappedOutput
}

func (g *instance) run() (r control.Report) {
	defer func() { // wazero doesn't expect a first allocation to fail
		if p := recover(); p != nil {
			if !g.memory.hit {
				panic(p)
			}
			r = control.Report{Cause: limitMemory}
		}
	}()
	ctx := experimental.WithMemoryAllocator(context.Background(), g.memory)
	m, err := g.module.runtime.InstantiateModule(ctx, g.module.compiled, g.config())
	if m != nil {
		_ = m.Close(ctx)
	}
	r = g.outcome(err)
	if g.quota.hit {
		return control.Report{Cause: limitDisk}
	}
	if g.memory.hit && (r.Cause != exited || r.ExitCode != 0) {
		return control.Report{Cause: limitMemory}
	}
	return r
}

const (
	exited  = "exited"
	trapped = "trapped"
)

func (g *instance) outcome(err error) control.Report {
	var exit *sys.ExitError
	switch {
	case err == nil:
		return control.Report{Cause: exited}
	case errors.As(err, &exit):
		return control.Report{Cause: exited, ExitCode: int(int32(exit.ExitCode()))}
	default:
		return control.Report{Cause: trapped, Detail: firstLine(err)}
	}
}

func (g *instance) config() wazero.ModuleConfig {
	spec := g.order.Spec
	config := wazero.NewModuleConfig().WithName("job").
		WithArgs(append([]string{"job"}, spec.Args...)...).
		WithStdout(g.output).WithStderr(g.output).
		WithFSConfig(filesystem(g.order, g.quota))
	for _, env := range spec.Env {
		name, value, _ := strings.Cut(env, "=")
		config = config.WithEnv(name, value)
	}
	if spec.RealTime {
		return realTime(config)
	}
	return fixedTime(config)
}

// cappedOutput writes to the log pipe until it has written one byte more than
// the log takes; the supervisor then cuts the log, and the rest goes nowhere.
type cappedOutput struct{ left, wrote int64 }

func (c *cappedOutput) Write(p []byte) (int, error) {
	fits := min(int64(len(p)), c.left)
	if fits > 0 {
		c.left -= fits
		c.wrote += fits
		if _, err := os.Stdout.Write(p[:fits]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	const most = 300
	return fmt.Sprintf("%.*s", most, strings.ToValidUTF8(line, "?"))
}
