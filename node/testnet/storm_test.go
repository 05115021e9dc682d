package testnet_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/testnet"
)

var stormSeed = flag.Uint64("storm.seed", uint64(time.Now().UnixNano()), "seed of the moments at which nodes are killed") //nolint:gosec // any number

const (
	stormKills = 10
	stormJobs  = 3                      // per client
	stormCalm  = 700 * time.Millisecond // at most, between a restart and the next kill
	stormDead  = 1500 * time.Millisecond
	readySoon  = 5 * time.Second // for half of the restarts; the machine may be busy
)

// Providers and clients are killed at random moments while jobs run. In the
// end every job has ended, the books agree and nothing is left.
func TestStormOfCrashes(t *testing.T) {
	t.Parallel()
	seed := *stormSeed
	t.Logf("seed %d; again with -args -storm.seed=%d", seed, seed)
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's
	w := up(t, testnet.Options{Providers: 3, Clients: 2, Tick: time.Second})
	clients, providers := []string{"client-1", "client-2"}, []string{"provider-1", "provider-2", "provider-3"}
	var ids []string
	for _, c := range clients {
		for range stormJobs {
			run := souk(t, w.dir(c), worker("10s", "--detach", "--retries", "8", "--max-price", "2/h", "--", "-exit", "6")...).ends(0)
			ids = append(ids, run.kind(client.Placed).Job)
		}
	}
	nodes := slices.Concat(clients, providers)
	var took []time.Duration
	for range stormKills {
		pause(r, stormCalm)
		victim := nodes[r.IntN(len(nodes))]
		w.kill(victim)
		pause(r, stormDead)
		took = append(took, w.restart(victim))
	}
	slices.Sort(took)
	require.Less(t, took[len(took)/2], readySoon, "restarts took %s", took)
	for i, id := range ids {
		w.ended(clients[i/stormJobs], id)
	}
	w.agree(clients, providers)
	for _, p := range providers {
		w.kill(p)
	}
	for _, p := range providers {
		w.nothingLeft(p)
	}
}

func pause(r *rand.Rand, most time.Duration) { <-time.After(time.Duration(r.Int64N(int64(most)))) }

// ended waits for a job's end, which is the job's own or says why not.
func (w *world) ended(name, id string) {
	w.t.Helper()
	eventually(w.t, "job "+id+" has ended", func() bool { return w.job(name, id).State == "done" })
	job := w.job(name, id)
	w.t.Logf("%s of %s: %d executions, exit %d by %s %s %s, spent %s", id, name, len(job.Executions), *job.Exit, job.Source, job.Code, job.Text, job.Spent)
	if job.Source == client.SourceJob {
		require.Equal(w.t, 6, *job.Exit)
	} else {
		require.NotEmpty(w.t, job.Code)
		require.NotEmpty(w.t, job.Text)
	}
	for _, x := range job.Executions {
		require.Equal(w.t, "closed", x.State)
		w.atMostATick(x, time.Second)
	}
}
