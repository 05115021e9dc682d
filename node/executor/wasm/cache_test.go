package wasm_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/executortest"
	"souk/node/executor/wasm"
)

// runs prepares a job, starts it, and sees it exit.
func runs(t *testing.T, e executor.Executor, spec executor.Spec) {
	t.Helper()
	x, err := e.Prepare(t.Context(), spec)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	<-x.Done()
	require.Equal(t, executor.Exited, x.Result().Cause, x.Result().Detail)
	require.NoError(t, x.Remove())
}

// cached gives the files in a cache.
func cached(t *testing.T, dir string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "cache"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	return files
}

// Nothing of the cache is synced: what a power loss left of it is compiled anew.
func TestDamagedMachineCodeIsCompiledAnew(t *testing.T) {
	t.Parallel()
	dir, src := t.TempDir(), &executortest.Source{}
	spec := smallJob(t, src, module(noArgs, oneFunc, exported, empty))
	start := func() executor.Executor {
		e, err := wasm.New(wasm.Config{Dir: dir, SandboxPath: built.sandbox, Source: src})
		require.NoError(t, err)
		return e
	}
	e := start()
	runs(t, e, spec)
	require.NoError(t, e.Close(false))
	whole := map[string][]byte{}
	for _, path := range cached(t, dir) {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		whole[path] = raw
	}
	require.Len(t, whole, 2, "machine code, and what the compiler said")

	for path, raw := range whole {
		flipped := append([]byte{}, raw...)
		flipped[len(flipped)*7/8] ^= 0x10 // of the verdict, in its sum
		for what, damaged := range map[string][]byte{"empty": {}, "cut": raw[:len(raw)/2], "zero": make([]byte, len(raw)), "flipped": flipped} {
			require.NoError(t, os.WriteFile(path, damaged, 0o600))
			e := start()
			runs(t, e, spec)
			require.NoError(t, e.Close(false))
			now, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, raw, now, "%s, %s: not compiled anew", filepath.Base(path), what)
		}
		require.NoError(t, os.Remove(path))
		e := start()
		runs(t, e, spec)
		require.NoError(t, e.Close(false))
		require.FileExists(t, path)
	}
}

// A compiler that waits and was killed, for want of memory say, is replaced.
func TestAKilledSpareCompilerIsReplaced(t *testing.T) {
	t.Parallel()
	src := &executortest.Source{}
	e, err := wasm.New(wasm.Config{Dir: t.TempDir(), SandboxPath: built.sandbox, Source: src, Spares: 1})
	require.NoError(t, err)
	for _, raw := range [][]byte{module(noArgs, oneFunc, exported, empty), module(noArgs, oneFunc, exported, empty, section(0, 1, 'x'))} {
		require.NoError(t, e.KillSpareCompiler())
		runs(t, e, smallJob(t, src, raw))
	}
	require.NoError(t, e.Close(false))
}

// A compiler that was killed with its order in hand, because others took the
// machine's memory say, was taken for what its module did.
func TestACompilerThatIsKilledAtWorkIsReplaced(t *testing.T) {
	t.Parallel()
	src := &executortest.Source{}
	e, err := wasm.New(wasm.Config{Dir: t.TempDir(), SandboxPath: built.sandbox, Source: src, Spares: 1})
	require.NoError(t, err)
	killed, err := e.KillCompilerOnceOrdered()
	require.NoError(t, err)
	runs(t, e, smallJob(t, src, module(noArgs, oneFunc, exported, empty)))
	require.True(t, killed(), "the test is broken")
	require.NoError(t, e.Close(false))
}

// A module that fills the pipe to a compiler that doesn't read is not waited for without end.
func TestACompilerThatDoesNotReadIsGivenUp(t *testing.T) {
	t.Parallel()
	src := &executortest.Source{}
	e, err := wasm.New(wasm.Config{Dir: t.TempDir(), SandboxPath: built.sandbox, Source: src, Spares: 1, CompileTime: time.Second})
	require.NoError(t, err)
	require.NoError(t, e.StopSpareCompiler())
	raw := module(noArgs, oneFunc, exported, empty)
	for range 20_000 { // far above what a pipe takes
		raw = append(raw, section(0, 1, 'x', 0, 0, 0, 0, 0)...)
	}
	_, err = e.Prepare(t.Context(), smallJob(t, src, raw))
	require.ErrorContains(t, err, "does not answer")
	require.NoError(t, e.Close(false))
}
