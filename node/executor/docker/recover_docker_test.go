//go:build dockertest

package docker_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/executortest"
)

const (
	soon = 30 * time.Second
	beat = 20 * time.Millisecond
)

// nodeDir names, in a copy of this test binary, the folder of the node to be.
const nodeDir = "SOUK_TEST_NODE_DIR"

// node is a process that starts a job and waits to be killed.
func TestNodeProcess(t *testing.T) {
	dir := os.Getenv(nodeDir)
	if dir == "" {
		return // only the tests below start it
	}
	src := &executortest.Source{}
	e, err := docker.New(docker.Config{Dir: dir, Source: src, Node: node(dir), AllowRunc: true, Runtime: oci, InitPath: initPath})
	require.NoError(t, err)
	s := spec(t, src, "ticking", "tick")
	s.Outputs = "/out"
	x, err := e.Prepare(t.Context(), s)
	require.NoError(t, err)
	_, err = e.Prepare(t.Context(), spec(t, src, "waiting", "lines", "3"))
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	require.Eventually(t, func() bool { return x.Usage().Log > 100 }, soon, beat)
	_, _ = fmt.Fprintln(os.Stdout, "started")
	<-x.Done()
}

// killedNode leaves a job that prints on and one that waits to be started,
// whose node was killed just now.
func killedNode(t *testing.T, dir string) {
	t.Helper()
	executortest.KillNode(t, nodeDir+"="+dir)
}

// left counts what a node has on this machine.
func left(t *testing.T, dir string) (all []string) {
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer api.Close()
	containers, err := api.ContainerList(context.Background(), client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", docker.LabelNode+"="+node(dir)),
	})
	require.NoError(t, err)
	for _, c := range containers.Items {
		all = append(all, "container "+c.ID)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			all = append(all, "mount "+line)
		}
	}
	for pattern, kind := range map[string]string{"/sys/block/loop*/loop/backing_file": "loop device", "/sys/fs/cgroup/*/souk-" + node(dir) + "-*": "cgroup", "/sys/fs/cgroup/souk-" + node(dir) + "-*": "cgroup"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range found {
			if raw, _ := os.ReadFile(path); kind == "cgroup" || strings.Contains(string(raw), dir) {
				all = append(all, kind+" "+path)
			}
		}
	}
	for _, folder := range []string{"jobs", "waste"} {
		found, err := filepath.Glob(filepath.Join(dir, folder, "*"))
		require.NoError(t, err)
		all = append(all, found...)
	}
	return all
}

func logOf(t *testing.T, x executor.Execution) string {
	r, err := x.Log(t.Context(), 0)
	require.NoError(t, err)
	raw, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(raw)
}

func ticks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, "tick", i)
	}
	return b.String()
}

func TestKilledNodeFindsItsExecutions(t *testing.T) {
	dir := t.TempDir()
	killedNode(t, dir)
	e := open(t, dir, &executortest.Source{})
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 2)
	x, waiting := found[0], found[1]
	require.True(t, x.Usage().Running)
	require.Positive(t, x.Usage().Ran)
	more := x.Usage().Log + 500
	require.Eventually(t, func() bool { return x.Usage().Log > more }, soon, beat)
	require.NoError(t, x.Stop(t.Context()))
	require.Equal(t, executor.Stopped, x.Result().Cause)
	got := logOf(t, x)
	require.Equal(t, ticks(strings.Count(got, "\n")), got, "no line is lost or doubled")

	require.Equal(t, "waiting", waiting.ID())
	require.NoError(t, waiting.Start(t.Context()))
	<-waiting.Done()
	require.Equal(t, executor.Exited, waiting.Result().Cause)
	require.Equal(t, "line 0\nline 1\nline 2\n", logOf(t, waiting))
	for _, x := range found {
		require.NoError(t, x.Remove())
	}
	require.Empty(t, left(t, dir))
	require.NoError(t, e.Close(false))
}

func TestKilledNodeLeavesNothingWithoutARecord(t *testing.T) {
	dir := t.TempDir()
	killedNode(t, dir)
	for _, id := range []string{"ticking", "waiting"} {
		require.NoError(t, os.Remove(filepath.Join(dir, "jobs", id, "record.json")))
	}
	require.NotEmpty(t, left(t, dir))
	e := open(t, dir, &executortest.Source{})
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Empty(t, found)
	require.Empty(t, left(t, dir))
	require.NoError(t, e.Close(false))
}

// A job that ended while its node was away has its result and its whole log.
func TestEndedMeanwhile(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	e := open(t, dir, src)
	s := spec(t, src, "meanwhile", "sleep", "1500")
	x, err := e.Prepare(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	require.NoError(t, e.Close(true))
	require.Eventually(t, func() bool { return !runs(t, dir) }, soon, beat)
	e = open(t, dir, src)
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	<-found[0].Done()
	r := found[0].Result()
	require.Equal(t, executor.Exited, r.Cause, r.Detail)
	require.Greater(t, r.Ran, time.Second)
	require.Less(t, r.Ran, 5*time.Second, "not the time that the node was away")
	require.NoError(t, found[0].Remove())
	require.NoError(t, e.Close(false))
}

// runs says whether a container of the node is running.
func runs(t *testing.T, dir string) bool {
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer api.Close()
	list, err := api.ContainerList(t.Context(), client.ContainerListOptions{Filters: make(client.Filters).Add("label", docker.LabelNode+"="+node(dir))})
	require.NoError(t, err)
	return len(list.Items) > 0
}

func TestTwoNodesOnOneDaemon(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	var jobs []executor.Execution
	var nodes []executor.Executor
	for _, dir := range dirs {
		src := &executortest.Source{}
		e := open(t, dir, src)
		x, err := e.Prepare(t.Context(), spec(t, src, "same", "tick"))
		require.NoError(t, err)
		require.NoError(t, x.Start(t.Context()))
		jobs, nodes = append(jobs, x), append(nodes, e)
	}
	// The first node comes back and ends all that is its own.
	require.NoError(t, nodes[0].Close(true))
	e := open(t, dirs[0], &executortest.Source{})
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, found[0].Stop(t.Context()))
	require.NoError(t, found[0].Remove())
	require.NoError(t, e.Close(false))
	require.Empty(t, left(t, dirs[0]))

	require.True(t, jobs[1].Usage().Running)
	require.True(t, runs(t, dirs[1]))
	before := jobs[1].Usage().Log
	require.Eventually(t, func() bool { return jobs[1].Usage().Log > before }, soon, beat)
	require.NoError(t, nodes[1].Close(false))
	require.Equal(t, executor.Stopped, jobs[1].Result().Cause)
}
