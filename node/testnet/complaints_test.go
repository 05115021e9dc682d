package testnet_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/control"
	"souk/node/testnet"
)

// complaint is what stands in docs/complaints.md under these titles, and what a
// user sees instead, by title; nil where this machine was too slow for it.
type complaint struct {
	titles []string
	seen   func(*world) map[string]string
}

var complaints = []complaint{
	{[]string{"Success reported on failure"}, successOnFailure},
	{[]string{"Logs lost when a job is stopped"}, logsLost},
	{[]string{"Paying for idle or failed time"}, payingForIdleTime},
	{[]string{"A job hangs when its provider vanishes", "Paying twice after a retry"}, hangingAndPaidTwice},
	{[]string{"A restart kills leases"}, restartKillsLeases},
	{[]string{"A job queued behind a busy provider while others idle", "Devices still held after a lease ended"}, queuedAndStillHeld},
}

const (
	noOffers    = "No offers, and no reason given"
	twoMachines = "Two machines on one local network that never meet" // TestTwoMachinesOnOneLocalNetwork
)

// What users of such systems complain about, each with what a user sees
// instead, as docs/complaints.md shows it. The jobs stand side by side on one
// market, each on providers of its own, told apart by their GPUs.
func TestComplaints(t *testing.T) {
	t.Parallel()
	p := readPage(t)
	w := up(t, testnet.Options{Providers: 1, Clients: 3, Tick: time.Second})
	for _, seller := range [][]string{
		{"any", "RTX 4060:8", "0.20/h", "1s"},
		{"busy", "RTX 5090", "0.05/h", "1s"}, {"idle", "RTX 5090", "1.80/h", "1s"},
		{"vanishes", "RTX 5080", "0.05/h", "5s"}, {"stays", "RTX 5080", "1.80/h", "5s"},
		{"restarts", "RTX 5070", "0.40/h", "20s"},
	} {
		w.sell(seller[0], seller[1], seller[2], seller[3])
	}
	for i := range 3 {
		eventually(t, "every client finds all", func() bool {
			offers := souk(t, w.dir(clientName(i)), "offers", "--all", "--allow-simulated", "--json").ends(0)
			return len(decode[client.Candidate](t, offers.out.String())) == 7
		})
	}
	// While nothing is leased: then a price is the only reason left.
	t.Run(noOffers, func(t *testing.T) { p.shows(t, noOffers, noOffersAndNoReason(&world{t, w.s})) })
	for _, c := range complaints {
		t.Run(c.titles[0], func(t *testing.T) {
			t.Parallel()
			seen := c.seen(&world{t, w.s})
			require.True(t, seen == nil || len(seen) == len(c.titles), "%d of %v were seen", len(seen), c.titles)
			for title, text := range seen {
				require.Contains(t, c.titles, title)
				p.shows(t, title, text)
			}
		})
	}
}

// Each section of docs/complaints.md has a test that holds what it shows against
// what is seen.
func TestThePageHasTheComplaints(t *testing.T) {
	t.Parallel()
	titles := []string{noOffers, twoMachines}
	for _, c := range complaints {
		titles = append(titles, c.titles...)
	}
	require.ElementsMatch(t, titles, slices.Collect(maps.Keys(readPage(t))))
}

// sell starts a provider that can be started again: its config says all.
func (w *world) sell(name, gpu, price, tick string) {
	w.t.Helper()
	w.supply(name, fmt.Sprintf("provider: {simulate_gpu: [%q], price: %s, tick: %s, cpu: 8, executors: [wasm]}\n", gpu, price, tick))
}

// plain is a GPU that is there for all; without it, a job could be leased by
// one of the others.
func plain(more ...string) []string { return append([]string{"--gpu", "RTX4060"}, more...) }

// seen is the command line that runs the worker as a person sees it.
func seen(span string, more ...string) []string {
	args := worker(span, more...)
	i := indexOf(args, "--json")
	return append(args[:i:i], args[i+1:]...)
}

func indexOf(args []string, word string) int {
	for i, a := range args {
		if a == word {
			return i
		}
	}
	return -1
}

// says checks that a command said these things on standard error, in this
// order, each a regular expression.
func (c *command) says(lines ...string) *command {
	c.t.Helper()
	require.Regexp(c.t, "(?s)"+strings.Join(lines, ".*"), c.err.String())
	return c
}

func noOffersAndNoReason(w *world) string {
	dir := w.dir("client-1")
	souk(w.t, dir, seen("0s", "--gpu", "MI300X")...).ends(125).
		says(`not: it has no MI300X`, `souk: 7 providers answered and none fits; the nearest: it has no MI300X`)
	dear := souk(w.t, dir, seen("0s", "--gpu", "RTX5090", "--max-price", "0.01/h")...).ends(125)

	lonely := newDir(w.t)
	require.NoError(w.t, os.WriteFile(filepath.Join(lonely, "config.yaml"), []byte("network: alone\nloopback: true\nmdns: false\nlisten: [/ip4/127.0.0.1/tcp/0]\n"+
		"bootstrap: [/ip4/127.0.0.1/tcp/1/p2p/"+w.node("client-1").Peer+"]\n"), 0o600))
	souk(w.t, lonely, "offers").ends(0).says(`nobody answered`, `bootstrap /ip4/127\.0\.0\.1/tcp/1/p2p/\S+ can't be reached \(connection refused\)`)
	alone := souk(w.t, lonely, seen("0s")...).ends(125)
	souk(w.t, lonely, "node", "down").ends(0)
	return dear.seen() + alone.seen()
}

func successOnFailure(w *world) map[string]string {
	dir := w.dir("client-1")
	fails := souk(w.t, dir, seen("0s", plain("--", "-exit", "7")...)...).ends(7)
	late := souk(w.t, dir, seen("30s", plain("--time", "1s")...)...).ends(1)
	id := strings.TrimSpace(souk(w.t, dir, seen("0s", plain("--detach", "--", "-exit", "9")...)...).ends(0).out.String())
	souk(w.t, dir, "attach", id, "-o", filepath.Join(w.t.TempDir(), "out")).ends(9)
	require.Regexp(w.t, `(?m)^`+id[:6]+`.*\b9$`, souk(w.t, dir, "jobs").ends(0).out.String())
	return map[string]string{"Success reported on failure": fails.seen() + late.seen()}
}

func logsLost(w *world) map[string]string {
	dir := w.dir("client-1")
	run := start(w.t, dir, seen("60s", plain()...)...)
	eventually(w.t, "it has printed", func() bool { return strings.Contains(run.out.String(), "line 3\n") })
	run.signal(syscall.SIGINT)
	run.ends(130)
	again := souk(w.t, dir, "logs", w.newest("client-1", "worker", "cancelled")).ends(0)
	require.Equal(w.t, run.out.String(), again.out.String(), "nothing of the log is lost")
	return map[string]string{"Logs lost when a job is stopped": run.seen() + again.seen()}
}

// newest is the ID of the newest job of that name with that code.
func (w *world) newest(name, job, code string) string {
	w.t.Helper()
	for _, j := range w.jobs(name) {
		if strings.HasPrefix(j.Name, job) && j.Code == code {
			return j.ID
		}
	}
	require.FailNow(w.t, "no such job", "%s %s", job, code)
	return ""
}

// Sending an input takes time as well, and so does fetching what came of it.
func payingForIdleTime(w *world) map[string]string {
	dir := w.dir("client-1")
	big := filepath.Join(w.t.TempDir(), "data")
	require.NoError(w.t, os.WriteFile(big, make([]byte, 8<<20), 0o600))
	began := time.Now()
	run := souk(w.t, dir, worker("1s", plain("--input", big+":/in/data", "--disk", "64MiB", "--memory", "128MiB", "--", "-sum", "/in/data")...)...).ends(0)
	leased, ended, id := run.kind(client.Leased).At, run.kind(client.Finished).At, run.kind(client.Placed).Job
	x := w.job("client-1", id).Executions[0]
	ran := time.Duration(x.Units) * time.Millisecond
	require.Less(w.t, ran, ended.Sub(leased), "preparing and bringing back are free")
	require.Less(w.t, ran, time.Since(began))
	tick := tickPrice(x.PricePerHour, time.Second)
	most := tick.Times(x.Units/1000 + 1)
	require.False(w.t, most.Less(x.Charged), "%s was charged for %s, a second is %s", x.Charged, ran, tick)

	bad := souk(w.t, dir, seen("0s", plain("--memory", "1MiB")...)...).ends(125) // the module doesn't fit
	failed := w.newest("client-1", "worker", "provider_failed")
	tried := w.job("client-1", failed).Executions
	require.NotEmpty(w.t, tried)
	for _, x := range tried {
		require.True(w.t, x.Charged.IsZero() && x.Vouchered.IsZero(), "a job that never started cost %s of %s: %s", x.Charged, x.Vouchered, x.Text)
	}
	return map[string]string{"Paying for idle or failed time": souk(w.t, dir, "job", id).ends(0).seen() + bad.seen() + souk(w.t, dir, "job", failed).ends(0).seen()}
}

// The provider is killed in the middle, and the client goes on elsewhere. It
// pays for the first execution at most what it had paid ahead.
func hangingAndPaidTwice(w *world) map[string]string {
	dir := w.dir("client-2")
	run := start(w.t, dir, seen("6s", "--gpu", "RTX5080", "--max-price", "2/h", "--", "-exit", "5")...)
	eventually(w.t, "it has printed", func() bool { return strings.Contains(run.out.String(), "line 5\n") })
	first, second := w.node("vanishes"), w.node("stays")
	w.kill("vanishes")
	run.ends(5).says(`execution 1 on \S+`+last(first.Peer)+` at 0\.05`, `execution 1 ended: lost`, `execution 2 on \S+`+last(second.Peer)+` at 1\.80`)

	w.restart("vanishes") // it learns what it missed, and wants no more
	w.agree([]string{"client-2"}, []string{"vanishes", "stays"})
	job := w.jobs("client-2")[0]
	require.Len(w.t, job.Executions, 2)
	w.atMostATick(job.Executions[0], 5*time.Second)
	require.Equal(w.t, job.Executions[0].Vouchered.Add(job.Executions[1].Countersigned), job.Spent, "each execution once")
	before := w.receipts("client-2")
	again := souk(w.t, dir, "attach", job.ID, "-o", filepath.Join(w.t.TempDir(), "again")).ends(5)
	require.Equal(w.t, before, w.receipts("client-2"), "asking again costs nothing")
	return map[string]string{
		"A job hangs when its provider vanishes": run.seen(),
		"Paying twice after a retry":             again.seen() + souk(w.t, dir, "job", job.ID).ends(0).seen() + souk(w.t, dir, "receipts", "verify", "--all").ends(0).seen(),
	}
}

func last(peer string) string { return peer[len(peer)-6:] }

func restartKillsLeases(w *world) map[string]string {
	dir := w.dir("client-3")
	run := start(w.t, dir, seen("12s", "--gpu", "RTX5070", "--", "-exit", "6")...)
	eventually(w.t, "it has printed", func() bool { return strings.Contains(run.out.String(), "line 5\n") })
	w.kill("restarts")
	took := w.restart("restarts")
	run.ends(6)
	job := w.jobs("client-3")[0]
	for _, x := range job.Executions {
		w.t.Logf("execution %d: %s %s", x.Attempt, x.Outcome, x.Text)
	}
	w.agree([]string{"client-3"}, []string{"restarts"})
	if took > restartedInTime {
		w.t.Logf("the restart took %s: what ran had ended itself by then", took)
		return nil
	}
	require.Len(w.t, job.Executions, 1, "it went on")
	require.Equal(w.t, 1, strings.Count(run.out.String(), "line 1\n"))
	require.Contains(w.t, run.out.String(), "line 40\n")
	return map[string]string{"A restart kills leases": run.seen()}
}

// restartedInTime is a restart after which what ran is surely still there: it
// outlives its node by 8 s.
const restartedInTime = 5 * time.Second

// The cheap provider has one GPU, which a client holds: others go elsewhere at
// once. When that client is gone for good, the GPU is free again.
func queuedAndStillHeld(w *world) map[string]string {
	holder := filepath.Join(w.s.Dir, "holder")
	souk(w.t, holder, "init").ends(0)
	w.join(holder)
	souk(w.t, holder, "node", "up").ends(0)
	held := start(w.t, holder, worker("100s", "--gpu", "RTX5090", "--max-price", "0.20/h")...)
	held.logged("line 1\n")
	dir := w.dir("client-3")
	cheap := []string{"--gpu", "RTX5090", "--max-price", "0.20/h"}
	eventually(w.t, "others see that it is taken", func() bool {
		return strings.Contains(souk(w.t, dir, "offers", "--gpu", "RTX5090", "--allow-simulated").out.String(), "0 of 1 free now")
	})
	queued := souk(w.t, dir, seen("1s", "--gpu", "RTX5090", "--max-price", "2/h", "--", "-exit", "4")...).ends(4).
		says(`execution 1 on \S+` + last(w.node("idle").Peer))
	require.True(w.t, held.running(), "it had not to wait for the other job's end")
	refused := souk(w.t, dir, seen("0s", append(cheap, "--retries", "0")...)...).ends(125)

	st, err := control.NewClient(holder).Status(w.t.Context())
	require.NoError(w.t, err)
	require.NoError(w.t, syscall.Kill(st.PID, syscall.SIGKILL))
	var freed, books *command
	eventually(w.t, "the GPU is leased again", func() bool {
		freed = souk(w.t, dir, seen("0s", append(cheap, "--", "-exit", "3")...)...)
		return freed.wait() == 3
	})
	freed.says(`execution 1 on \S+` + last(w.node("busy").Peer))
	eventually(w.t, "its provider has no lease left", func() bool {
		books = souk(w.t, w.dir("busy"), "receipts", "list").ends(0)
		return !strings.Contains(books.out.String(), "running") && strings.Contains(souk(w.t, w.dir("busy"), "node", "status").ends(0).out.String(), "leases   0 live\n")
	})
	return map[string]string{
		"A job queued behind a busy provider while others idle": queued.seen(),
		"Devices still held after a lease ended":                refused.seen() + freed.seen() + books.seen(),
	}
}
