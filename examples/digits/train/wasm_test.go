package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// buildWASM builds this program as build.sh does and returns the module.
func buildWASM(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "train.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	module, err := os.ReadFile(path)
	require.NoError(t, err)
	return module
}

// writeLog keeps each write apart, to show that lines leave the program one by one.
type writeLog struct {
	mu     sync.Mutex
	writes []string
}

func (l *writeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes = append(l.writes, string(p))
	return len(p), nil
}

// guest runs a module as a provider would, with fixed clock and randomness and 256 MiB of memory.
type guest struct {
	module []byte
	cache  wazero.CompilationCache
}

// run gives the guest the folders in at /in and out at /out.
func (g guest) run(t *testing.T, in, out string, stdout io.Writer, args ...string) {
	t.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCompilationCache(g.cache).WithMemoryLimitPages(256<<20/65536))
	defer func() { require.NoError(t, rt.Close(ctx)) }()
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	var stderr bytes.Buffer
	mod, err := rt.InstantiateWithConfig(ctx, g.module, wazero.NewModuleConfig().
		WithArgs(append([]string{"train.wasm"}, args...)...).WithEnv("SEED", "1").
		WithStdout(stdout).WithStderr(&stderr).
		WithFSConfig(wazero.NewFSConfig().WithReadOnlyDirMount(in, "/in").WithDirMount(out, "/out")))
	require.NoError(t, err, "%s", stderr.String())
	require.NoError(t, mod.Close(ctx))
}

// TestTrainsUnderWASM runs the real job: it must learn, tell about it line by line, and give the same
// bytes again.
func TestTrainsUnderWASM(t *testing.T) {
	g := guest{buildWASM(t), wazero.NewCompilationCache()}
	defer func() { require.NoError(t, g.cache.Close(context.Background())) }()
	t.Run("real digits", func(t *testing.T) { learnsRealDigits(t, g) })
	t.Run("same bytes again", func(t *testing.T) {
		in := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(in, "digits.bin"), syntheticFile(300, 50), 0o600))
		first, second := t.TempDir(), t.TempDir()
		g.run(t, in, first, io.Discard, "--epochs", "2")
		g.run(t, in, second, io.Discard, "--epochs", "2")
		require.Equal(t, readFolder(t, first), readFolder(t, second))
	})
}

func learnsRealDigits(t *testing.T, g guest) {
	var log writeLog
	out := t.TempDir()
	g.run(t, "..", out, &log, "--epochs", "5")
	files := readFolder(t, out)
	require.Len(t, files, 3)
	for _, line := range log.writes {
		require.Regexp(t, `^[^\n]+\n$`, line, "each line is a write of its own")
	}
	require.Contains(t, log.writes[2], "epoch 1/5  batch  50/250  loss ")

	var m metrics
	require.NoError(t, json.Unmarshal([]byte(files["metrics.json"]), &m))
	require.Len(t, m.Epochs, 5)
	require.Greater(t, m.Epochs[4].TestAccuracy, 0.95)
	require.Less(t, m.Epochs[4].TrainLoss, m.Epochs[0].TrainLoss/2)
	for i, e := range m.Epochs {
		require.Contains(t, strings.Join(log.writes, ""), fmt.Sprintf("epoch %d/5  train loss %.4f", i+1, e.TrainLoss))
	}
	decoded, err := png.Decode(strings.NewReader(files["confusion.png"]))
	require.NoError(t, err)
	require.Equal(t, pictureWidth, decoded.Bounds().Dx())
}
