package wasm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/executortest"
)

// nodeDir names, in a copy of this test binary, the folder of the node to be.
const nodeDir = "SOUK_TEST_NODE_DIR"

// node is a process that starts an endless loop, in a sandbox that ran another job
// of the client before, and waits to be killed.
func TestNodeProcess(t *testing.T) {
	dir := os.Getenv(nodeDir)
	if dir == "" {
		return // only the tests below start it
	}
	src := &executortest.Source{}
	e := open(t, dir, src)
	before := endless(t, src)
	before.ID, before.Args = "before", []string{"exit", "0"}
	x, err := e.Prepare(t.Context(), before)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	<-x.Done()
	require.Equal(t, executor.Exited, x.Result().Cause)
	require.NoError(t, x.Remove())
	x, err = e.Prepare(t.Context(), endless(t, src))
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	_, _ = fmt.Fprintln(os.Stdout, "started")
	<-x.Done()
}

func endless(t *testing.T, src *executortest.Source) executor.Spec {
	s := executor.Spec{
		ID: "endless", Owner: "owner", Args: []string{"spin"}, Outputs: "/out",
		Limits: executor.Limits{Memory: 64 << 20, Disk: 1 << 20, Log: 1 << 20, Time: time.Hour},
	}
	program(t, src, &s)
	return s
}

// killedNode leaves an endless loop whose node was killed just now.
func killedNode(t *testing.T, dir string) {
	t.Helper()
	executortest.KillNode(t, nodeDir+"="+dir)
}

// sandboxes are the live processes of supervisors in dir and of their guests.
func sandboxes(t *testing.T, dir string) (pids []int) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var parents []string
	for _, p := range procs {
		if cwd, err := os.Readlink(filepath.Join(p, "cwd")); err == nil && strings.HasPrefix(cwd, dir) {
			parents = append(parents, filepath.Base(p))
		}
	}
	for _, p := range procs {
		stat, _ := os.ReadFile(filepath.Join(p, "stat"))
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		for _, parent := range parents {
			if filepath.Base(p) == parent || len(fields) > 1 && fields[1] == parent {
				pid, err := strconv.Atoi(filepath.Base(p))
				require.NoError(t, err)
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func alive(pids []int) (left []int) {
	for _, pid := range pids {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(stat), ") Z ") {
			left = append(left, pid)
		}
	}
	return left
}

func TestOrphanEndsItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killedNode(t, dir)
	begin := time.Now()
	pids := sandboxes(t, dir)
	require.Len(t, pids, 2, "a supervisor and a guest")
	require.Eventually(t, func() bool { return len(alive(pids)) == 0 }, 12*time.Second, 50*time.Millisecond)
	require.Less(t, time.Since(begin), 10*time.Second)

	e := open(t, dir, &executortest.Source{})
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	<-found[0].Done()
	require.Equal(t, executor.Failed, found[0].Result().Cause)
	require.Positive(t, found[0].Result().Ran)
	require.NoError(t, e.Close(false))
}

func TestRestartedNodeFindsItsExecution(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killedNode(t, dir)
	e := open(t, dir, &executortest.Source{})
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	x := found[0]
	require.True(t, x.Usage().Running)
	require.Positive(t, x.Usage().Ran)
	// It lives on past the time that it would have had alone.
	require.Eventually(t, func() bool { return x.Usage().Ran > 10*time.Second }, 15*time.Second, 50*time.Millisecond)
	require.True(t, x.Usage().Running)
	require.NoError(t, x.Stop(t.Context()))
	require.Equal(t, executor.Stopped, x.Result().Cause)
	require.NoError(t, x.Remove())
	require.NoError(t, e.Close(false))
}

// The guest can't outlive its supervisor, however that ended.
func TestKilledSupervisorTakesTheGuestAlong(t *testing.T) {
	t.Parallel()
	src, dir := &executortest.Source{}, t.TempDir()
	e := open(t, dir, src)
	x, err := e.Prepare(t.Context(), endless(t, src))
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	pids := sandboxes(t, dir)
	require.Len(t, pids, 2)
	for _, pid := range pids {
		if cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); strings.HasPrefix(cwd, dir) {
			p, err := os.FindProcess(pid)
			require.NoError(t, err)
			require.NoError(t, p.Kill())
		}
	}
	require.Eventually(t, func() bool { return len(alive(pids)) == 0 }, 5*time.Second, 10*time.Millisecond)
	<-x.Done()
	require.Equal(t, executor.Failed, x.Result().Cause)
	require.NotEmpty(t, x.Result().Detail)
	require.NoError(t, x.Remove())
	require.NoError(t, e.Close(false))
}
