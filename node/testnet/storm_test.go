package testnet_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/testnet"
)

// scripts/crash sets these.
var (
	stormSeed      = flag.Uint64("storm.seed", uint64(time.Now().UnixNano()), "seed of the moments at which nodes are killed") //nolint:gosec // any number
	stormKills     = flag.Int("storm.kills", 10, "how often a node is killed")
	stormClients   = flag.Int("storm.clients", 2, "clients that trade meanwhile")
	stormProviders = flag.Int("storm.providers", 3, "providers that trade meanwhile")
)

const (
	stormJob   = "6s"
	stormCalm  = 700 * time.Millisecond // at most, between a restart and the next kill
	stormDead  = 1500 * time.Millisecond
	readySoon  = 5 * time.Second // for half of the restarts, and of CPU for each; the machine may be busy
	stormExit  = 6               // of every job
	stormTries = "8"
	// ruleOfThree over N trials without a failure is the share of failures that
	// is ruled out with 95 % confidence.
	ruleOfThree = 3.0
)

// storm is a market whose nodes are killed at random moments.
type storm struct {
	*world
	r                  *rand.Rand
	clients, providers []string
	jobs               map[string][]string // IDs by client
	refused            int
	took, worked       []time.Duration // restarts, until the node was ready: in all, and of CPU
}

// Providers and clients are killed at random moments while jobs run. In the
// end every job has ended, the books agree and nothing is left.
func TestStormOfCrashes(t *testing.T) {
	t.Parallel()
	seed := *stormSeed
	t.Logf("seed %d; again with -args -storm.seed=%d", seed, seed)
	s := &storm{
		world: up(t, testnet.Options{Providers: *stormProviders, Clients: *stormClients, Tick: time.Second}),
		r:     rand.New(rand.NewPCG(seed, 0)), jobs: map[string][]string{}, //nolint:gosec // a test's
	}
	for _, n := range s.s.Nodes {
		switch n.Role {
		case testnet.Client:
			s.clients = append(s.clients, n.Name)
		case testnet.Provider:
			s.providers = append(s.providers, n.Name)
		}
	}
	for range *stormKills {
		s.place()
		s.strike()
	}
	s.wereReady()
	s.calm()
}

// place has a random client start a job and leave it. That nobody is free for
// it is no fault.
func (s *storm) place() {
	name := s.clients[s.r.IntN(len(s.clients))]
	run := souk(s.t, s.dir(name), worker(stormJob, "--detach", "--retries", stormTries, "--max-price", "2/h", "--", "-exit", strconv.Itoa(stormExit))...)
	if run.wait() != 0 {
		require.NotEmpty(s.t, run.kind(client.Finished).Code, run.said())
		s.refused++
		return
	}
	s.jobs[name] = append(s.jobs[name], run.kind(client.Placed).Job)
}

// strike kills a random node and starts it again a little later.
func (s *storm) strike() {
	nodes := slices.Concat(s.clients, s.providers)
	pause(s.r, stormCalm)
	victim := nodes[s.r.IntN(len(nodes))]
	s.kill(victim)
	pause(s.r, stormDead)
	s.took = append(s.took, s.restart(victim))
	s.worked = append(s.worked, cpuOf(s.t, s.node(victim).PID))
}

// calm checks what the storm left.
func (s *storm) calm() {
	placed := 0
	for name, ids := range s.jobs {
		for _, id := range ids {
			s.ended(name, id)
		}
		placed += len(ids)
	}
	require.NotZero(s.t, placed)
	s.settles()
	report := s.agree(s.clients, s.providers)
	s.t.Logf("%d kills, %d jobs placed and %d refused", len(s.took), placed, s.refused)
	s.t.Logf("0 of them lost or doubled something: with 95 %% confidence, fewer than %.3g %% of such kills do", min(1, ruleOfThree/float64(len(s.took)))*100)
	s.t.Logf("the books agree on %d leases, %d receipts and %s; vouchered beyond that on a channel: at most %s; charged beyond it on a lease: at most %s",
		report.Leases, report.Receipts, report.Countersigned, report.Ahead, report.Owed)
	for _, p := range s.providers {
		s.kill(p)
	}
	for _, p := range s.providers {
		s.nothingLeft(p)
	}
	s.t.Logf("no execution was left %s after the last providers were killed", orphansWithin)
}

func pause(r *rand.Rand, most time.Duration) { <-time.After(time.Duration(r.Int64N(int64(most)))) }

// ended waits for a job's end, which is the job's own or says why not.
func (w *world) ended(name, id string) {
	w.t.Helper()
	eventually(w.t, "job "+id+" has ended", func() bool { return w.job(name, id).State == "done" })
	job := w.job(name, id)
	w.t.Logf("%s of %s: %d executions, exit %d by %s %s %s, spent %s", id, name, len(job.Executions), *job.Exit, job.Source, job.Code, job.Text, job.Spent)
	if job.Source == client.SourceJob {
		require.Equal(w.t, stormExit, *job.Exit)
	} else {
		require.NotEmpty(w.t, job.Code)
		require.NotEmpty(w.t, job.Text)
	}
	for _, x := range job.Executions {
		require.Equal(w.t, "closed", x.State)
		w.atMostATick(x, time.Second)
	}
}
