package wasm_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/executortest"
	"souk/node/executor/wasm"
)

// client has jobs run one after the other, and sees in which processes.
type client struct {
	*testing.T
	dir  string
	src  *executortest.Source
	exec executor.Executor
	ids  int
}

// newClient has an executor of its own, whose sandboxes wait that long; 0: as they do.
func newClient(t *testing.T, warmFor time.Duration) *client {
	c := &client{T: t, dir: t.TempDir(), src: &executortest.Source{}}
	c.exec = openConfigured(t, wasm.Config{Dir: c.dir, Source: c.src, WarmFor: warmFor})
	return c
}

func (c *client) spec(owner string, args ...string) executor.Spec {
	c.ids++
	s := executor.Spec{
		ID: "job" + string(rune('a'+c.ids)), Owner: owner, Args: args, Outputs: "/out",
		Limits: executor.Limits{Memory: 64 << 20, Disk: 1 << 20, Log: 1 << 20, Time: time.Minute},
	}
	program(c.T, c.src, &s)
	return s
}

// run has a job run to its end, and gives the processes that it was prepared in.
func (c *client) run(s executor.Spec) (pids []int, r executor.Result) {
	x, err := c.exec.Prepare(c.Context(), s)
	require.NoError(c, err)
	pids = sandboxes(c.T, filepath.Join(c.dir, "jobs", s.ID))
	require.Len(c, pids, 2, "a supervisor and a guest")
	require.NoError(c, x.Start(c.Context()))
	if s.Args[0] == "spin" {
		require.NoError(c, x.Stop(c.Context()))
	}
	<-x.Done()
	require.NoError(c, x.Remove())
	return pids, x.Result()
}

func TestSandboxServesOneClientWhileItsJobsEndWell(t *testing.T) {
	t.Parallel()
	c := newClient(t, time.Hour)
	first, r := c.run(c.spec("ann", "exit", "0"))
	require.Equal(t, executor.Exited, r.Cause)
	again, r := c.run(c.spec("ann", "exit", "3"))
	require.Equal(t, 3, r.ExitCode)
	require.Equal(t, first, again, "the same client's next job")
	other, _ := c.run(c.spec("bob", "exit", "0"))
	require.NotContains(t, first, other[1], "another client's job")
	more := c.spec("ann", "exit", "0")
	more.Limits.Memory *= 2
	larger, _ := c.run(more)
	require.NotContains(t, first, larger[1], "a job with other limits")

	again, _ = c.run(c.spec("ann", "exit", "0"))
	require.Equal(t, first, again)
	for _, bad := range [][]string{{"spin"}, {"alloc", "200"}, {"fill", "/out", "2"}, {"unreachable"}} {
		s := c.spec("ann", bad...)
		if bad[0] == "unreachable" {
			s.Module = c.src.File(t, module(noArgs, oneFunc, exported, unreach))
		}
		before, r := c.run(s)
		require.NotEqual(t, executor.Exited, r.Cause, bad)
		after, _ := c.run(c.spec("ann", "exit", "0"))
		require.NotContains(t, before, after[1], "a job after %v", bad)
		require.Eventually(t, func() bool { return len(alive(before)) == 0 }, time.Minute, 10*time.Millisecond, "it ends with the job")
	}
	require.NoError(t, c.exec.Close(false))
}

// What a job left is not there for the next one in the same process: neither
// files nor time, nor what it used.
func TestNextJobFindsNothingOfTheOneBefore(t *testing.T) {
	t.Parallel()
	c := newClient(t, time.Hour)
	fresh := c.spec("ann", "now", "/out")
	before, r := c.run(fresh)
	require.Zero(t, r.ExitCode)
	output := func(s executor.Spec) (string, int64) {
		x, err := c.exec.Prepare(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, before, sandboxes(t, filepath.Join(c.dir, "jobs", s.ID)))
		require.NoError(t, x.Start(t.Context()))
		<-x.Done()
		out := bringBack(t, x)
		memory := x.Usage().Memory
		require.NoError(t, x.Remove())
		return out, memory
	}
	same, little := output(c.spec("ann", "now", "/out"))
	_, r = c.run(c.spec("ann", "alloc", "40"))
	require.Equal(t, executor.Exited, r.Cause)
	out, memory := output(c.spec("ann", "now", "/out"))
	require.Equal(t, same, out)
	require.Less(t, memory, little+20<<20, "the job before used 40 MiB more")
	require.NoError(t, c.exec.Close(false))
}

// bringBack reads what the guest program's "now" wrote.
func bringBack(t *testing.T, x executor.Execution) string {
	raw, err := os.ReadFile(filepath.Join(x.OutputDir(), "now"))
	require.NoError(t, err)
	return string(raw)
}

func TestSandboxDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	c := newClient(t, 0)
	pids, _ := c.run(c.spec("ann", "exit", "0"))
	require.Eventually(t, func() bool { return len(alive(pids)) == 0 }, time.Minute, 50*time.Millisecond)
	after, _ := c.run(c.spec("ann", "exit", "0"))
	require.NotContains(t, pids, after[1])
	require.NoError(t, c.exec.Close(false))
}
