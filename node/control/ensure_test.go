package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/control"
	"souk/protocol/wire"
)

// The test binary plays the background node: `BINARY node DIR` serves DIR
// until it is asked to shut down, `BINARY broken DIR` fails.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "node" {
		runNode(os.Args[2])
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "broken" {
		fmt.Fprintln(os.Stderr, "souk: the key is of the wrong kind")
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("souk/node/control.spawn.func1")) // waits for a node that outlives the test
}

type stopping struct {
	*fakeNode
	stop chan struct{}
	once *sync.Once
}

func (s stopping) Shutdown(context.Context) error {
	s.once.Do(func() { close(s.stop) })
	return nil
}

func (s stopping) Status(ctx context.Context) (control.Status, error) {
	status, err := s.fakeNode.Status(ctx)
	status.PID = os.Getpid()
	return status, err
}

func runNode(dir string) {
	marks, err := os.OpenFile(filepath.Join(dir, "starts"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(1)
	}
	fmt.Fprintln(marks, "start")
	node := stopping{newFakeNode(), make(chan struct{}), new(sync.Once)}
	s, err := control.Serve(dir, node, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-node.stop
	_ = s.Close()
}

func command(t *testing.T, what, dir string) []string {
	self, err := os.Executable()
	require.NoError(t, err)
	return []string{self, what, dir}
}

func TestManyStartsAtOnceMakeOneNode(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	var mu sync.Mutex
	var wg sync.WaitGroup
	starters, pids := 0, map[int]bool{}
	for range 5 {
		wg.Go(func() {
			c, started, err := control.Ensure(ctx, dir, command(t, "node", dir))
			if err != nil {
				t.Error(err)
				return
			}
			status, err := c.Status(ctx)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pids[status.PID] = true
			if started {
				starters++
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, starters)
	require.Len(t, pids, 1)
	require.NotContains(t, pids, os.Getpid())
	starts, err := os.ReadFile(filepath.Join(dir, "starts"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(starts), "start"))

	c := control.NewClient(dir)
	require.NoError(t, c.Shutdown(ctx))
	require.Eventually(t, func() bool { return wire.IsCode(c.Ping(ctx), control.NotRunning) }, time.Minute, 10*time.Millisecond)
}

func TestANodeThatDoesNotComeUpSaysWhy(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(control.LogPath(dir), []byte("an older run's words\n"), 0o600))
	_, _, err := control.Ensure(t.Context(), dir, command(t, "broken", dir))
	require.True(t, wire.IsCode(err, control.NodeFailed), "%v", err)
	require.ErrorContains(t, err, "the key is of the wrong kind")
	require.NotContains(t, err.Error(), "older run")

	_, _, err = control.Ensure(t.Context(), dir, []string{filepath.Join(dir, "no such program")})
	require.True(t, wire.IsCode(err, control.NodeFailed), "%v", err)
	_, _, err = control.Ensure(t.Context(), filepath.Join(dir, "gone"), nil)
	require.ErrorContains(t, err, "can't be written")
}

func TestIdleIsWhenNobodyAsksAndNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs := make(chan int, 1)
		jobs <- 2
		idle := control.NewIdle()
		start := time.Now()
		go func() {
			time.Sleep(time.Minute) // fake time: a job runs for a minute
			<-jobs
			jobs <- 0
		}()
		active := func() int { n := <-jobs; jobs <- n; return n }
		require.NoError(t, idle(t.Context(), active, 10*time.Second))
		require.GreaterOrEqual(t, time.Since(start), 69*time.Second, "to within one look")
		require.Less(t, time.Since(start), 72*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, idle(ctx, func() int { return 1 }, time.Second), context.DeadlineExceeded)
	})
}
