package testnet_test

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/control"
	"souk/node/testnet"
	"souk/protocol/market"
)

// world is a testnet of real processes.
type world struct {
	t *testing.T
	s *testnet.State
}

func up(t *testing.T, o testnet.Options) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "souk-net")
	require.NoError(t, err)
	o.Dir, o.Souk, o.Hostile = filepath.Join(dir, "net"), built.souk, built.hostile
	s, err := testnet.Up(t.Context(), o)
	require.NoError(t, err)
	w, made := &world{t, s}, slices.Clone(s.Nodes) // tests put further nodes beside them
	t.Cleanup(func() {
		if t.Failed() {
			w.tell()
		}
		require.NoError(t, testnet.Down(context.Background(), o.Dir))
		require.Empty(t, processes(o.Dir), "processes of the testnet are left")
		for _, n := range made {
			require.NoDirExists(t, n.Dir)
		}
		_, err := testnet.Load(o.Dir)
		require.Error(t, err, "the testnet is still known")
		require.NoError(t, os.RemoveAll(dir)) // also what a test put there, which isn't the testnet's to remove
	})
	return w
}

// tell prints the ends of the nodes' logs.
func (w *world) tell() {
	for _, n := range w.s.Nodes {
		log, _ := os.ReadFile(control.LogPath(n.Dir))
		w.t.Logf("log of %s (%s, process %d):\n%s", n.Name, n.Peer, n.PID, tail(string(log)))
	}
}

func (w *world) node(name string) *testnet.Node {
	w.t.Helper()
	n, err := w.s.Node(name)
	require.NoError(w.t, err)
	return n
}

func (w *world) dir(name string) string { return w.node(name).Dir }

func (w *world) kill(name string) {
	w.t.Helper()
	n := w.node(name)
	require.NoError(w.t, n.Kill())
	eventually(w.t, n.Name+" is dead", func() bool { return !alive(n.PID) })
}

// alive tells a process from a zombie and from nothing.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// restart starts a node again, and tells after how long it was ready.
func (w *world) restart(name string) time.Duration {
	w.t.Helper()
	began := time.Now()
	require.NoError(w.t, w.s.Restart(w.t.Context(), built.souk, w.node(name)))
	took := time.Since(began)
	w.t.Logf("%s was ready again after %s", name, took.Round(time.Millisecond))
	return took
}

// jobs are those of a client.
func (w *world) jobs(name string) []control.JobInfo {
	w.t.Helper()
	return decode[control.JobInfo](w.t, souk(w.t, w.dir(name), "jobs", "--json").ends(0).out.String())
}

func (w *world) job(name, id string) control.JobInfo {
	w.t.Helper()
	return decode[control.JobInfo](w.t, souk(w.t, w.dir(name), "job", id, "--json").ends(0).out.String())[0]
}

func (w *world) receipts(name string) []control.ReceiptInfo {
	w.t.Helper()
	return decode[control.ReceiptInfo](w.t, souk(w.t, w.dir(name), "receipts", "list", "--json").ends(0).out.String())
}

// nothingLeft waits until no process of a node is there, which was killed.
func (w *world) nothingLeft(name string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return len(processes(w.dir(name))) == 0 }, orphansWithin, lookAgain,
		"processes of %s outlive it", name)
}

// tickPrice is what a tick costs at a price per hour.
func tickPrice(perHour market.Amount, tick time.Duration) market.Amount {
	hours := int64(time.Hour / tick)
	price := perHour.Big()
	price.Add(price, big.NewInt(hours-1)).Div(price, big.NewInt(hours))
	return market.NewAmount(price.Uint64())
}

// atMostATick checks that an execution cost at most one tick more than what was
// countersigned.
func (w *world) atMostATick(x control.ExecutionInfo, tick time.Duration) {
	w.t.Helper()
	most := tickPrice(x.PricePerHour, tick)
	require.False(w.t, most.Less(x.Vouchered.Sub(x.Countersigned)), "%s was vouchered and %s countersigned; a tick is %s", x.Vouchered, x.Countersigned, most)
}

// worker is the command line that runs the worker for a real time.
func worker(span string, more ...string) []string {
	args := []string{"run", "-y", "--json", "--allow-simulated", "--real-time", "--outputs", "/out", "--memory", "64MiB", "--disk", "8MiB", "--time", "2m", "--total", "0.50"}
	var job []string
	for i, m := range more {
		if m == "--" {
			more, job = more[:i], more[i+1:]
			break
		}
	}
	args = append(args, more...)
	return append(append(args, "--", built.worker, "-for", span), job...)
}
