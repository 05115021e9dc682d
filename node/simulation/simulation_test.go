package simulation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/protocol/market"
)

var (
	seeds = flag.Int("seeds", 200, "how many histories")
	first = flag.Uint64("first", 1, "the seed of the first one")
)

// newWorld draws how bad a history is, and who is in it.
func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 20))}
	w.model = newModel(w)
	pick := func(of ...float64) float64 { return of[w.rng.IntN(len(of))] }
	w.faults = faults{
		loss: pick(0, 0.05, 0.15, 0.3), replay: pick(0, 0.1, 0.3, 0.5), crash: pick(0, 0.003, 0.01, 0.02),
		jump: pick(0, 0, 0.3), outage: pick(0, 0.5, 0.9), delay: uint64(pick(20, 500, 3*second)), skew: w.rng.IntN(3) == 0,
	}
	if w.side = w.rng.IntN(3); w.side > 0 {
		w.faults.restore = 0.3
	}
	for id := range byte(1 + w.rng.IntN(2)) {
		w.provs = append(w.provs, newProvider(w, id))
	}
	for id := range byte(1 + w.rng.IntN(3)) {
		w.clients = append(w.clients, newClient(w, id))
	}
	w.backups()
	w.outages()
	return w
}

// outages cut clients off for long enough to lose leases.
func (w *world) outages() {
	w.after(w.between(20*second, 2*minute), w.outages)
	if c := w.clients[w.rng.IntN(len(w.clients))]; w.chance(w.faults.outage) {
		c.cut = w.now + w.between(10*second, 2*lostAfter)
		w.say(&c.node, "is cut off until", c.cut)
	}
}

// backups keeps copies of the books that crashes may bring back. Only one
// role's are: what both sides have lost nobody can know.
func (w *world) backups() {
	w.after(w.between(5*second, minute), w.backups)
	if w.calm {
		return
	}
	switch w.side {
	case 1:
		p := w.provs[w.rng.IntN(len(w.provs))]
		p.old = p.disk.backup()
	case 2:
		c := w.clients[w.rng.IntN(len(w.clients))]
		c.old = c.disk.backup()
	}
}

// history runs a whole one: trouble, then calm until all is settled, then a
// restart of everybody, after which they exchange what they hold.
func history(seed uint64, trace func(string, ...any)) *world {
	w := newWorld(seed)
	w.trace = trace
	w.run(6 * minute)
	w.calm = true
	for end := w.now; w.now < end+20*minute && !w.rests(); {
		w.run(w.now + 20*second)
	}
	for _, p := range w.provs {
		p.restart()
	}
	for _, c := range w.clients {
		c.restart()
		for _, p := range w.provs {
			c.insist(p)
		}
	}
	w.run(w.now + 20*second)
	if w.problem == "" {
		w.model.end()
	}
	return w
}

// rests tells that no lease is under way any more.
func (w *world) rests() bool {
	for _, n := range w.nodes() {
		for _, l := range n.disk.leases {
			if !n.up || l.State != market.Closed {
				return false
			}
		}
	}
	return true
}

func (w *world) nodes() (all []*node) {
	for _, p := range w.provs {
		all = append(all, &p.node)
	}
	for _, c := range w.clients {
		all = append(all, &c.node)
	}
	return all
}

func (n *node) restart() {
	n.up = false
	n.died()
	n.start()
}

func (c *client) insist(p *provider) {
	if !c.agreed[p] {
		c.askStatus(p)
		c.after(2*second, func() { c.insist(p) })
	}
}

// TestHistories lets both sides trade in many worlds of faults.
// scripts/simulate runs more of them, and a single one again.
func TestHistories(t *testing.T) {
	var next, events atomic.Uint64
	var mu sync.Mutex
	failed := map[uint64]string{}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= uint64(*seeds) {
					return
				}
				seed := *first + n
				w := history(seed, nil)
				events.Add(w.count)
				if w.problem != "" {
					mu.Lock()
					failed[seed] = w.problem
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d histories, %d events", *seeds, events.Load())
	shown := 0
	for seed, problem := range failed {
		t.Errorf("seed %d: %s\nreplay it: scripts/simulate 1 %d", seed, problem, seed)
		if shown++; shown == 10 {
			t.Fatalf("%d of %d histories went wrong", len(failed), *seeds)
		}
	}
	if *seeds == 1 {
		var lines strings.Builder
		history(*first, func(format string, args ...any) { fmt.Fprintf(&lines, format+"\n", args...) })
		t.Log("\n" + lines.String())
	}
}

// A seed is a history, to the last event.
func TestAHistoryReplaysExactly(t *testing.T) {
	for seed := range uint64(20) {
		a, b := history(seed, nil), history(seed, func(string, ...any) {})
		require.Equal(t, a.digest, b.digest, seed)
		require.Equal(t, a.count, b.count, seed)
		require.Equal(t, a.problem, b.problem, seed)
	}
}
