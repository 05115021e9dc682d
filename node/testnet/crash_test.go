package testnet_test

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/testnet"
)

// The crashes happen side by side on one testnet: each job is pinned to a
// provider of its own by the GPU that only that one has.
func TestCrashes(t *testing.T) {
	t.Parallel()
	const tick = 5 * time.Second
	w := up(t, testnet.Options{Providers: 5, Clients: 3, Tick: tick})
	for name, crash := range map[string]func(*world){
		"of the provider, which comes back": crashedProviderComesBack,
		"of the client's node":              crashedClientComesBack,
		"of the provider, for good":         func(w *world) { crashedProviderStaysAway(w, tick) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crash(&world{t, w.s})
		})
	}
}

func crashedProviderComesBack(w *world) {
	dir := w.dir("client-1")
	began := time.Now()
	run := start(w.t, dir, worker("13s", "--gpu", "RTX4090", "--", "-exit", "3")...)
	run.logged("line 10\n")
	w.kill("provider-1")
	w.restart("provider-1")
	run.ends(3)

	done := run.kind(client.Finished)
	require.Equal(w.t, client.SourceJob, done.Source)
	job := w.job("client-1", done.Job)
	require.Contains(w.t, run.log(), "line 50\n")
	w.agree([]string{"client-1"}, []string{"provider-1"})
	// It goes on, unless the two found each other again too late to pay the
	// next tick; then it was run anew.
	var ran time.Duration
	for i, x := range job.Executions {
		w.t.Logf("execution %d: %s %s", i+1, x.Outcome, x.Text)
		require.Equal(w.t, x.Charged, x.Countersigned)
		ran += time.Duration(x.Units) * time.Millisecond
	}
	require.LessOrEqual(w.t, len(job.Executions), 2)
	require.Less(w.t, ran, time.Since(began), "nothing was charged twice")
	require.GreaterOrEqual(w.t, ran, 13*time.Second)
	w.kill("provider-1")
	w.nothingLeft("provider-1")
}

func crashedClientComesBack(w *world) {
	dir := w.dir("client-2")
	began := time.Now()
	run := start(w.t, dir, worker("13s", "--gpu", "RTX3090", "--", "-exit", "4")...)
	run.logged("line 10\n")
	id := run.kind(client.Placed).Job
	w.kill("client-2")
	run.ends(client.ExitSouk)
	require.Equal(w.t, "node_stopped", run.kind(client.Finished).Code)
	require.Contains(w.t, run.out.String(), "souk attach "+id)

	w.restart("client-2")
	attached := souk(w.t, dir, "attach", id[:6], "--json", "-o", w.t.TempDir()+"/out").ends(4)
	require.Contains(w.t, attached.log(), "line 1\n")
	require.Contains(w.t, attached.log(), "line 50\n")
	job := w.job("client-2", id)
	require.Len(w.t, job.Executions, 1)
	require.Less(w.t, time.Duration(job.Executions[0].Units)*time.Millisecond, time.Since(began))
	w.agree([]string{"client-2"}, []string{"provider-2"})
}

func crashedProviderStaysAway(w *world, tick time.Duration) {
	run := start(w.t, w.dir("client-3"), worker("8s", "--vram", "40GiB", "--gpu", "any", "--max-price", "1.00/h", "--", "-exit", "5")...)
	run.logged("line 5\n")
	first := w.node(run.kind(client.Leased).Peer)
	w.kill(first.Name)
	w.nothingLeft(first.Name)
	run.ends(5)

	job := w.job("client-3", run.kind(client.Placed).Job)
	require.Len(w.t, job.Executions, 2)
	require.Equal(w.t, string(client.Lost), job.Executions[0].Outcome)
	w.atMostATick(job.Executions[0], tick)
	second := w.node(job.Executions[1].Peer)
	require.NotEqual(w.t, first.Name, second.Name)
	w.restart(first.Name) // it learns what it missed
	w.agree([]string{"client-3"}, []string{first.Name, second.Name})
}

func TestAnInterruptedRun(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 1, Clients: 2, Tick: time.Second})
	t.Run("cancels, fetches and ends with 130", func(t *testing.T) {
		t.Parallel()
		w := &world{t, w.s}
		out := t.TempDir() + "/out"
		run := start(t, w.dir("client-1"), worker("60s", "-o", out)...)
		run.logged("line 3\n")
		run.signal(syscall.SIGINT)
		run.ends(130)
		done := run.kind(client.Finished)
		require.Equal(t, string(client.Cancelled), done.Code)
		job := w.job("client-1", done.Job)
		require.Equal(t, "cancelled", job.Executions[0].Outcome)
		require.Equal(t, job.Executions[0].Charged, job.Executions[0].Countersigned)
		require.FileExists(t, out+"/result.txt", "what was paid for is fetched")
		w.agree([]string{"client-1"}, []string{"provider-1"})
	})
	t.Run("leaves at once the second time", func(t *testing.T) {
		t.Parallel()
		w := &world{t, w.s}
		run := start(t, w.dir("client-2"), worker("60s")...)
		run.logged("line 3\n")
		run.signal(syscall.SIGINT)
		eventually(t, "it says that it cancels", func() bool { return run.err.String() != "" })
		if err := run.cmd.Process.Signal(syscall.SIGINT); !errors.Is(err, os.ErrProcessDone) { // the cancel may be over already
			require.NoError(t, err)
		}
		run.ends(130)
		id := run.kind(client.Placed).Job
		eventually(t, "the job is over all the same", func() bool { return w.job("client-2", id).State == "done" })
	})
}
