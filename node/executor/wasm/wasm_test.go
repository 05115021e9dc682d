package wasm_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/executor"
	"souk/node/executor/executortest"
	"souk/node/executor/wasm"
)

// built holds the sandbox and the guest program, made once for all tests.
var built struct {
	sandbox, guest, warm string
	once                 sync.Once
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "souk-wasm-")
	if err == nil {
		built.warm = filepath.Join(dir, "warm")
		built.sandbox, built.guest = filepath.Join(dir, "souk-sandbox"), filepath.Join(dir, "guest.wasm")
		err = build(built.sandbox, "souk/cmd/souk-sandbox", "CGO_ENABLED=0")
	}
	if err == nil {
		err = build(built.guest, "souk/node/executor/executortest/guest", "GOOS=wasip1", "GOARCH=wasm")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

func build(to, pkg string, env ...string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, pkg)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s could not be built: %w\n%s", pkg, err, out)
	}
	return nil
}

// open starts from a cache that has the guest program: compiling it for each
// test would take most of the time.
func open(t *testing.T, dir string, src *executortest.Source) executor.Executor {
	return openConfigured(t, wasm.Config{Dir: dir, Source: src})
}

func openConfigured(t *testing.T, config wasm.Config) executor.Executor {
	if _, err := os.Stat(filepath.Join(config.Dir, "cache")); err != nil {
		require.NoError(t, os.CopyFS(filepath.Join(config.Dir, "cache"), os.DirFS(warmCache(t))))
	}
	config.SandboxPath, config.Spares = built.sandbox, 1
	e, err := wasm.New(config)
	require.NoError(t, err)
	return e
}

// warmCache compiles the guest program once.
func warmCache(t *testing.T) string {
	built.once.Do(func() {
		src, spec := &executortest.Source{}, executor.Spec{
			ID: "warm", Owner: "owner", Limits: executor.Limits{Memory: 64 << 20, Disk: 1, Log: 1, Time: time.Second},
		}
		program(t, src, &spec)
		e, err := wasm.New(wasm.Config{Dir: built.warm, SandboxPath: built.sandbox, Source: src})
		require.NoError(t, err)
		_, err = e.Prepare(t.Context(), spec)
		require.NoError(t, err)
		require.NoError(t, e.Close(false))
	})
	return filepath.Join(built.warm, "cache")
}

func program(t *testing.T, src *executortest.Source, spec *executor.Spec) {
	raw, err := os.ReadFile(built.guest)
	require.NoError(t, err)
	spec.Module = src.File(t, raw)
}

func TestConformance(t *testing.T) {
	executortest.Run(t, executortest.Subject{Open: open, Program: program, Deterministic: true})
}
