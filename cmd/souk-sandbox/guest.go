//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"souk/node/executor/wasm/control"
)

const goHeap = 128 << 20 // bytes of Go heap before collecting; guest memory lies outside

// guest loads the module that its supervisor names, waits for the word, runs
// it, and reports.
func guest() error {
	// A loop in the guest can't be stopped for a collection, so none may start
	// on its own: only an allocation by this goroutine starts one.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(goHeap)
	reports := json.NewEncoder(os.NewFile(3, "reports"))
	orders := json.NewDecoder(os.Stdin)
	var order guestOrder
	if err := orders.Decode(&order); err != nil {
		return nil // a spare whose supervisor went away
	}
	g := &instance{order: order, memory: &memory{limit: uint64(order.Spec.Memory)}, quota: newQuota(order.Spec.Disk)}
	if err := g.load(); err != nil {
		return reports.Encode(control.Report{Cause: failed, Detail: "the module could not be loaded: " + firstLine(err)})
	}
	if err := reports.Encode(control.Report{Ready: true}); err != nil {
		return err
	}
	var word guestGo
	if err := orders.Decode(&word); err != nil {
		return nil
	}
	return reports.Encode(g.run())
}

// instance is one module on its way from file to end.
type instance struct {
	order   guestOrder
	memory  *memory
	quota   *quota
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

// runtimeConfig is the same for compiling and running: the cache depends on it.
func runtimeConfig(cacheDir string) (wazero.RuntimeConfig, error) {
	cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
	if err != nil {
		return nil, err
	}
	return wazero.NewRuntimeConfig().WithCompilationCache(cache).WithDebugInfoEnabled(false), nil
}

func (g *instance) load() error {
	dir := g.order.Dir
	if err := shutIn(dir, g.order.Spec); err != nil {
		return err
	}
	config, err := runtimeConfig(filepath.Join(dir, control.CacheDir))
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(dir, control.ModuleFile))
	if err != nil {
		return err
	}
	ctx := context.Background()
	g.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, g.runtime); err != nil {
		return err
	}
	g.module, err = g.runtime.CompileModule(ctx, raw)
	return err
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
	_, err := g.runtime.InstantiateModule(ctx, g.module, moduleConfig(g.order, g.quota))
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

func moduleConfig(order guestOrder, q *quota) wazero.ModuleConfig {
	spec := order.Spec
	out := &cappedOutput{left: spec.Log + 1}
	config := wazero.NewModuleConfig().WithName("job").
		WithArgs(append([]string{"job"}, spec.Args...)...).
		WithStdout(out).WithStderr(out).
		WithFSConfig(filesystem(order, q))
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
type cappedOutput struct{ left int64 }

func (c *cappedOutput) Write(p []byte) (int, error) {
	fits := min(int64(len(p)), c.left)
	if fits > 0 {
		c.left -= fits
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
