// Package executortest is the conformance suite for executors: whatever an
// executor promises in package executor is tried here, with one guest program
// (the folder guest) that every kind of executor can run.
//
// It is for tests only; no production code imports it.
package executortest

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

// Subject is an executor under test.
type Subject struct {
	// Open gives an executor on dir. Opening a folder again after a detaching
	// Close is a restart of the node.
	Open func(t *testing.T, dir string, src *Source) executor.Executor
	// Program points a Spec at the guest program, added to src.
	Program func(t *testing.T, src *Source, spec *executor.Spec)
	// Deterministic says that a job which doesn't ask for real time runs the
	// same way each time.
	Deterministic bool
	// Environ are the variables that a guest of this kind is always given.
	Environ []string
	// System says that the guest has an operating system's tree of its own: it may
	// make links there and write to /tmp, and none of that comes back.
	System bool
}

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// bench is one executor with its folder and data.
type bench struct {
	*testing.T
	subject Subject
	dir     string
	src     *Source
	exec    executor.Executor
}

// Run tries all promises.
func Run(t *testing.T, subject Subject) {
	tests := map[string]func(b *bench){
		"ExitCode":       exitCode,
		"Environment":    environment,
		"InputsOutputs":  inputsOutputs,
		"Deterministic":  deterministic,
		"RealTime":       realTime,
		"Log":            logOffsets,
		"LogFollows":     logFollows,
		"LogCut":         logCut,
		"TimeLimit":      timeLimit,
		"TimeLimitSleep": timeLimitSleep,
		"MemoryLimit":    memoryLimit,
		"DiskLimit":      diskLimit,
		"DiskLimitInput": diskLimitInput,
		"Stop":           stop,
		"StopPrepared":   stopPrepared,
		"Trap":           trap,
		"HostilePaths":   hostilePaths,
		"BadSpecs":       badSpecs,
		"RemoveAll":      removeAll,
		"RecoverRunning": recoverRunning,
		"RecoverEnded":   recoverEnded,
		"CloseStops":     closeStops,
	}
	if !subject.Deterministic {
		delete(tests, "Deterministic")
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			src := &Source{}
			dir := t.TempDir()
			b := &bench{T: t, subject: subject, dir: dir, src: src, exec: subject.Open(t, dir, src)}
			defer func() { require.NoError(t, b.exec.Close(false)) }()
			test(b)
		})
	}
}

// restart is a node that went away and came back.
func (b *bench) restart() []executor.Execution {
	require.NoError(b, b.exec.Close(true))
	b.exec = b.subject.Open(b.T, b.dir, b.src)
	found, err := b.exec.Recover(b.ctx())
	require.NoError(b, err)
	return found
}

func (b *bench) ctx() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	b.Cleanup(cancel)
	return ctx
}

var ids atomic.Int64

// spec is a job for the guest program with generous limits.
func (b *bench) spec(args ...string) executor.Spec {
	s := executor.Spec{
		ID:    fmt.Sprintf("job%d", ids.Add(1)),
		Owner: "owner",
		Args:  args,
		Limits: executor.Limits{
			CPU: 1, Memory: 64 << 20, Disk: 16 << 20, Log: 1 << 20, Time: time.Minute,
		},
	}
	b.subject.Program(b.T, b.src, &s)
	return s
}

func (b *bench) prepare(s executor.Spec) executor.Execution {
	x, err := b.exec.Prepare(b.ctx(), s)
	require.NoError(b, err)
	require.Equal(b, s.ID, x.ID())
	return x
}

func (b *bench) start(s executor.Spec) executor.Execution {
	x := b.prepare(s)
	require.NoError(b, x.Start(b.ctx()))
	return x
}

func (b *bench) wait(x executor.Execution) executor.Result {
	select {
	case <-x.Done():
	case <-b.ctx().Done():
		require.Fail(b, "the execution did not end")
	}
	return x.Result()
}

// run is a job from start to end, with its log.
func (b *bench) run(s executor.Spec) (executor.Execution, executor.Result, string) {
	x := b.start(s)
	r, log := b.wait(x), b.log(x, 0)
	if path := x.LogFile(); path != "" {
		raw, err := os.ReadFile(path)
		require.NoError(b, err)
		require.Equal(b, log, string(raw))
	}
	return x, r, log
}
