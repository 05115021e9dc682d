//go:build dockertest

package docker_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/executortest"
)

func asJobError(err error, to **executor.JobError) bool { return errors.As(err, to) }

// line is a way to the daemon that can be cut and mended, as if the daemon
// itself stopped and came back.
type line struct {
	t    *testing.T
	path string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	wg       sync.WaitGroup
}

func newLine(t *testing.T) *line {
	dir, err := os.MkdirTemp("", "souk-line-") // short enough for a socket
	require.NoError(t, err)
	l := &line{t: t, path: filepath.Join(dir, "sock"), open: map[net.Conn]bool{}}
	l.mend()
	t.Cleanup(func() {
		l.cut()
		_ = os.RemoveAll(dir)
	})
	return l
}

func (l *line) host() string { return "unix://" + l.path }

func (l *line) mend() {
	listener, err := net.Listen("unix", l.path)
	require.NoError(l.t, err)
	l.mu.Lock()
	l.listener = listener
	l.mu.Unlock()
	l.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.wg.Go(func() { l.pass(conn) })
		}
	})
}

func (l *line) pass(conn net.Conn) {
	host := os.Getenv(client.EnvOverrideHost)
	if host == "" {
		host = client.DefaultDockerHost
	}
	out, err := net.Dial("unix", strings.TrimPrefix(host, "unix://"))
	if err != nil {
		conn.Close()
		return
	}
	l.mu.Lock()
	l.open[conn], l.open[out] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	copyTo := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		to.Close()
		from.Close()
	}
	both.Go(func() { copyTo(out, conn) })
	both.Go(func() { copyTo(conn, out) })
	both.Wait()
	l.mu.Lock()
	delete(l.open, conn)
	delete(l.open, out)
	l.mu.Unlock()
}

func (l *line) cut() {
	l.mu.Lock()
	l.listener.Close()
	for c := range l.open {
		c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}

func overLine(t *testing.T, l *line, dir string, src *executortest.Source) *docker.Executor {
	return openWith(t, docker.Config{Dir: dir, Host: l.host(), Source: src, Node: node(dir), AllowRunc: true, Runtime: oci, Grace: 5 * time.Second})
}

// A daemon that keeps its containers while it is upgraded ends no job.
func TestDaemonComesBack(t *testing.T) {
	l, dir, src := newLine(t), t.TempDir(), &executortest.Source{}
	e := overLine(t, l, dir, src)
	x, err := e.Prepare(t.Context(), spec(t, src, "lasting", "tick"))
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	require.Eventually(t, func() bool { return x.Usage().Log > 100 }, soon, beat)
	l.cut()
	require.ErrorContains(t, e.Check(t.Context()), "start it", "it says what is wrong")
	l.mend()
	before := x.Usage().Log
	require.Eventually(t, func() bool { return x.Usage().Log > before+500 }, soon, beat)
	require.NoError(t, x.Stop(t.Context()))
	require.Equal(t, executor.Stopped, x.Result().Cause)
	got := logOf(t, x)
	require.Equal(t, ticks(strings.Count(got, "\n")), got)
	require.NoError(t, e.Close(false))
}

// One that stays away fails the job, and what it left is removed later.
func TestDaemonStaysAway(t *testing.T) {
	l, dir, src := newLine(t), t.TempDir(), &executortest.Source{}
	e := overLine(t, l, dir, src)
	x, err := e.Prepare(t.Context(), spec(t, src, "lost", "tick"))
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	l.cut()
	<-x.Done()
	require.Equal(t, executor.Failed, x.Result().Cause)
	require.Contains(t, x.Result().Detail, "Docker")
	require.Error(t, x.Remove(), "the container can't be removed")
	_, err = e.Prepare(t.Context(), spec(t, src, "next", "tick"))
	require.Error(t, err)
	l.mend()
	require.NoError(t, x.Remove())
	require.Empty(t, left(t, dir))
	require.NoError(t, e.Close(false))
}

func TestContainerRemovedByOthers(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	e := open(t, dir, src)
	x, err := e.Prepare(t.Context(), spec(t, src, "gone", "tick"))
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer api.Close()
	_, err = api.ContainerRemove(t.Context(), "souk-"+node(dir)+"-gone", client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
	<-x.Done()
	require.Equal(t, executor.Failed, x.Result().Cause)
	require.NotEmpty(t, x.Result().Detail)
	require.NoError(t, x.Remove())
	require.Empty(t, left(t, dir))
	require.NoError(t, e.Close(false))
}
