package testnet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/control"
	"souk/node/testnet"
)

// cheating is what a hostile provider does, and how a client names it.
var cheating = []struct {
	behave, gpu string
	outcome     string // of its execution; empty: it never got a lease
	evidence    string // what the client says of it
}{
	{"overcharge", "RTX 3060", "cheated", "receipt 1 charges 10"},
	{"withhold", "RTX 3070", "provider_failed", "for outputs that it doesn't give"},
	{"equivocate", "RTX 3080", "cheated", "it signed two different receipts with number 1"},
	{"badsig", "RTX 4060", "cheated", "receipt 1 doesn't bear its signature"},
	{"gap", "RTX 4070", "cheated", "receipt 3 follows receipt 1: those between are missing"},
	{"vanish", "RTX 4080", "lost", "the provider could not be reached for"},
	{"busy", "RTX 5070", "", "another client accepted first"},
	{"silent", "RTX 5080", "lost", ""},
	{"garbage", "RTX 5090", "cheated", "it sent malformed messages"},
}

// proves sees that what a client exports of a lease shows whoever gets the
// file that the provider signed two receipts with one number.
func (w *world) proves(name, lease string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "lease.car")
	souk(w.t, w.dir(name), "receipts", "export", lease, "-o", file).ends(0)
	shown := souk(w.t, w.t.TempDir(), "receipts", "verify", file, "--json").ends(1)
	require.Contains(w.t, shown.out.String(), `"code":"equivocation"`)
}

// Each job needs a GPU that one hostile provider has, and an honest, dearer one.
func TestHostileProviders(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 1, Clients: hostileClients, Tick: time.Second})
	var gpus []string
	for _, c := range cheating {
		gpus = append(gpus, "--simulate-gpu", c.gpu)
	}
	honest := w.provide("honest", append(gpus, "--cpu", "16", "--slots", "16")...)
	for _, c := range cheating {
		w.cheat(c.behave, c.gpu)
	}
	for i := range hostileClients {
		eventually(t, "every client finds all", func() bool {
			offers := souk(t, w.dir(clientName(i)), "offers", "--all", "--allow-simulated", "--json").ends(0)
			return len(decode[client.Candidate](t, offers.out.String())) == len(cheating)+2
		})
	}
	for i, c := range cheating {
		t.Run(c.behave, func(t *testing.T) {
			t.Parallel()
			w := &world{t, w.s}
			name := clientName(i % hostileClients)
			run := souk(t, w.dir(name), worker("1s", "--gpu", c.gpu, "--", "-exit", "8")...).ends(8)
			job := w.job(name, run.kind(client.Finished).Job)
			last := job.Executions[len(job.Executions)-1]
			require.Equal(t, honest.Peer, last.Peer)
			require.Contains(t, run.err.String()+run.out.String(), c.evidence)
			if c.outcome == "" {
				require.Len(t, job.Executions, 1)
				return
			}
			require.Len(t, job.Executions, 2)
			require.Equal(t, c.outcome, job.Executions[0].Outcome)
			w.atMostATick(job.Executions[0], time.Second)
			if c.behave == "equivocate" {
				w.proves(name, job.Executions[0].Lease)
			}
		})
	}
	t.Cleanup(func() {
		for i := range hostileClients {
			w.agree([]string{clientName(i)}, []string{"honest"})
		}
	})
}

// hostileClients share the jobs, because a provider holds only so many quotes
// open for one client.
const hostileClients = 3

func clientName(i int) string { return fmt.Sprintf("client-%d", i+1) }

// provide starts one more honest provider, by souk's own commands.
func (w *world) provide(name string, more ...string) testnet.Node {
	w.t.Helper()
	n, _ := w.supply(name, "", append([]string{"--price", "0.50/h", "--tick", "5s"}, more...)...)
	return n
}

// supply starts a provider with more lines in its config file, and gives what
// a person who started it sees.
func (w *world) supply(name, config string, args ...string) (testnet.Node, *command) {
	w.t.Helper()
	return w.supplyWith(nil, name, config, args...)
}

func (w *world) supplyWith(env []string, name, config string, args ...string) (testnet.Node, *command) {
	w.t.Helper()
	dir := filepath.Join(w.s.Dir, name)
	souk(w.t, dir, "init").ends(0)
	w.join(dir)
	path := filepath.Join(dir, "config.yaml")
	joined, err := os.ReadFile(path) //nolint:gosec // the test's own
	require.NoError(w.t, err)
	require.NoError(w.t, os.WriteFile(path, append(joined, config...), 0o600))
	c := startWith(w.t, env, built.souk, append([]string{"--data-dir", dir, "provide"}, args...)...)
	eventually(w.t, name+" is up", func() bool { return souk(w.t, dir, "node", "status").wait() == 0 })
	st, err := control.NewClient(dir).Status(w.t.Context())
	require.NoError(w.t, err)
	n := testnet.Node{Name: name, Role: testnet.Provider, Dir: dir, PID: st.PID, Peer: st.Peer, Addr: st.Addrs[0]}
	w.s.Nodes = append(w.s.Nodes, n)
	return n, c
}

// join sets a data directory up for the testnet.
func (w *world) join(dir string) {
	w.t.Helper()
	config := fmt.Sprintf("network: %s\nloopback: true\nmdns: false\nlisten: [/ip4/127.0.0.1/tcp/0]\nbootstrap: [%s]\nclient: {lost_after: 15s}\n",
		w.s.Network, w.node("bootstrap").Addr)
	require.NoError(w.t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600))
}

func (w *world) cheat(behave, gpu string) {
	w.t.Helper()
	ready := filepath.Join(w.t.TempDir(), "ready")
	startProgram(w.t, built.hostile, "provider", "--network", w.s.Network, "--bootstrap", w.node("bootstrap").Addr, "--price", "0.10/h",
		"--gpu", gpu, "--behave", behave, "--ready-file", ready)
	eventually(w.t, behave+" is ready", func() bool {
		_, err := os.Stat(ready)
		return err == nil
	})
}

// An honest client's job runs while others attack its provider.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 1, Clients: 1, Tick: time.Second})
	target := w.provide("target", "--simulate-gpu", "RTX 5090", "--cpu", "16", "--slots", "16")
	run := start(t, w.dir("client-1"), worker("20s", "--gpu", "RTX5090", "--", "-exit", "9")...)
	run.logged("line 1\n")
	t.Run("attack", func(t *testing.T) {
		for _, behave := range []string{"replay", "lowvoucher", "neverpay", "malformed", "flood", "hugeprefix", "slowloris"} {
			t.Run(behave, func(t *testing.T) {
				t.Parallel()
				attack := startProgram(t, built.hostile, "client", "--provider", target.Addr, "--network", w.s.Network, "--behave", behave)
				attack.ends(0)
			})
		}
	})
	run.ends(9)
	w.agree([]string{"client-1"}, []string{"target"})
}
