package wasm_test

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/executortest"
	"souk/node/executor/wasm"
)

// section encodes one section of a module; every length here fits one byte.
func section(id byte, body ...byte) []byte {
	return append([]byte{id, byte(len(body))}, body...)
}

func module(sections ...[]byte) []byte {
	raw := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		raw = append(raw, s...)
	}
	return raw
}

func name(s string) []byte { return append([]byte{byte(len(s))}, s...) }

var (
	noArgs   = section(1, 1, 0x60, 0, 0) // one type: () -> ()
	oneFunc  = section(3, 1, 0)          // one function of it
	exported = section(7, append(append([]byte{1}, name("_start")...), 0, 0)...)
	empty    = section(10, 1, 2, 0, 0x0b)         // that does nothing
	unreach  = section(10, 1, 3, 0, 0x00, 0x0b)   // that traps
	bigStart = section(5, 1, 0, 0x80, 0x80, 0x02) // 32768 pages
)

// imports is an import section of one import.
func imports(from, what string, desc ...byte) []byte {
	body := append([]byte{1}, name(from)...)
	body = append(body, name(what)...)
	return section(2, append(body, desc...)...)
}

// smallJob is a job of nothing but a module.
func smallJob(t *testing.T, src *executortest.Source, raw []byte) executor.Spec {
	return executor.Spec{
		ID: "small", Owner: "owner", Module: src.File(t, raw),
		Limits: executor.Limits{Memory: 1 << 20, Disk: 1 << 20, Log: 1 << 10, Time: 5 * time.Second},
	}
}

func TestBadModules(t *testing.T) {
	t.Parallel()
	src := &executortest.Source{}
	e := open(t, t.TempDir(), src)
	bad := map[string]struct {
		raw  []byte
		says string
	}{
		"empty":           {nil, "not valid WebAssembly"},
		"text":            {[]byte("#!/bin/sh\n"), "not valid WebAssembly"},
		"cut":             {module(noArgs, oneFunc, exported), "not valid WebAssembly"},
		"a component":     {[]byte("\x00asm\x0d\x00\x01\x00"), "not valid WebAssembly"},
		"no _start":       {module(noArgs, oneFunc, empty), "_start"},
		"_start takes":    {module(section(1, 1, 0x60, 1, 0x7f, 0), oneFunc, exported, empty), "takes or returns"},
		"unknown module":  {module(noArgs, imports("env", "f", 0, 0), oneFunc, exported, empty), `"env"`},
		"unknown import":  {module(noArgs, imports("wasi_snapshot_preview1", "nope", 0, 0), oneFunc, exported, empty), `"nope"`},
		"wrong signature": {module(noArgs, imports("wasi_snapshot_preview1", "fd_write", 0, 0), oneFunc, exported, empty), `"fd_write"`},
		"a global":        {module(noArgs, imports("env", "g", 3, 0x7f, 0), oneFunc, exported, empty), "imports a global"},
		"a memory":        {module(noArgs, imports("env", "m", 2, 0, 1), oneFunc, exported, empty), "imports a memory"},
		"too much memory": {module(noArgs, oneFunc, bigStart, section(7, append(append(append([]byte{2}, name("_start")...), 0, 0), append(name("m"), 2, 0)...)...), empty), "memory"},
	}
	for what, c := range bad {
		_, err := e.Prepare(t.Context(), smallJob(t, src, c.raw))
		var fault *executor.JobError
		require.ErrorAs(t, err, &fault, what)
		require.Contains(t, fault.Reason, c.says, what)
		require.NotContains(t, fault.Reason, "\n", what)
	}
	require.NoError(t, e.Close(false))
}

func TestTinyModules(t *testing.T) {
	t.Parallel()
	src := &executortest.Source{}
	e := open(t, t.TempDir(), src)
	for _, c := range []struct {
		raw   []byte
		cause executor.Cause
	}{
		{module(noArgs, oneFunc, exported, empty), executor.Exited},
		{module(noArgs, oneFunc, exported, unreach), executor.Trapped},
		{module(noArgs, oneFunc, bigStart, exported, unreach), executor.LimitMemory}, // a memory that nobody sees
	} {
		x, err := e.Prepare(t.Context(), smallJob(t, src, c.raw))
		require.NoError(t, err)
		require.NoError(t, x.Start(t.Context()))
		<-x.Done()
		require.Equal(t, c.cause, x.Result().Cause, x.Result().Detail)
		require.NoError(t, x.Remove())
	}
	require.NoError(t, e.Close(false))
}

// A module that takes minutes to compile must not take the node along.
func TestCompilerIsBounded(t *testing.T) {
	t.Parallel()
	src := &executortest.Source{}
	e := open(t, t.TempDir(), src)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := e.Prepare(ctx, smallJob(t, src, bomb(2_000_000)))
	require.ErrorIs(t, err, ctx.Err())
	require.NoError(t, e.Close(false))
}

func TestSandboxIsFound(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	config := wasm.Config{Dir: t.TempDir(), Source: &executortest.Source{}}
	_, err := wasm.New(config)
	require.ErrorContains(t, err, "souk-sandbox")
	require.NoError(t, os.Link(built.sandbox, filepath.Join(dir, "souk-sandbox")))
	e, err := wasm.New(config)
	require.NoError(t, err)
	require.NoError(t, e.Check(t.Context()))
	says, err := e.Isolation(t.Context())
	require.NoError(t, err)
	require.Contains(t, says, "Landlock")
	require.NoError(t, e.Close(false))
	config.SandboxPath = filepath.Join(t.TempDir(), "none")
	_, err = wasm.New(config)
	require.Error(t, err)
}

// What runs hostile code links nothing that it doesn't need.
func TestSandboxImports(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "souk/cmd/souk-sandbox").Output()
	require.NoError(t, err)
	for _, pkg := range strings.Fields(string(out)) {
		ok := pkg == "souk/cmd/souk-sandbox" || pkg == "souk/node/executor/wasm/control" ||
			strings.HasPrefix(pkg, "github.com/tetratelabs/wazero") || strings.HasPrefix(pkg, "golang.org/x/sys/")
		require.True(t, ok, pkg)
	}
}

// bomb is one function of n instructions.
func bomb(n int) []byte {
	code := make([]byte, 1, 2*n+2) // no locals
	for range n {
		code = append(code, 0x41, 0x00, 0x1a) // i32.const 0, drop
	}
	code = append(code, 0x0b)
	body := append([]byte{1}, binary.AppendUvarint(nil, uint64(len(code)))...)
	body = append(body, code...)
	raw := append(module(noArgs, oneFunc, exported), 10)
	return append(append(raw, binary.AppendUvarint(nil, uint64(len(body)))...), body...)
}
