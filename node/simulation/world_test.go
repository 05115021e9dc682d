package simulation

import (
	"container/heap"
	"fmt"
	"math/rand/v2"

	"souk/node/books"
	"souk/protocol/market"
)

const (
	second = 1000
	minute = 60 * second
	hour   = 60 * minute
)

// faults are how bad a history's world is.
type faults struct {
	loss, replay, crash, restore, jump, outage float64
	delay                                      uint64 // the longest that a message takes
	skew                                       bool
}

// world is one history: true time, the events to come, and everybody in it.
type world struct {
	rng     *rand.Rand
	now     uint64
	events  queue
	count   uint64 // of events, which orders those of one moment
	faults  faults
	calm    bool // no faults any more
	side    int  // whose disk may be replaced by a backup: 0 nobody's, 1 providers', 2 clients'
	model   *model
	provs   []*provider
	clients []*client
	trace   func(format string, args ...any) // nil: nobody reads it
	digest  uint64                           // of all that happened
	problem string                           // the first thing that is wrong; the history ends there
}

type event struct {
	at, n uint64
	do    func()
}

type queue []event

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (w *world) after(ms uint64, do func()) {
	w.count++
	heap.Push(&w.events, event{w.now + ms, w.count, do})
}

// run goes on until nothing more happens, the time is over, or something is wrong.
func (w *world) run(until uint64) {
	for len(w.events) > 0 && w.problem == "" && w.events[0].at <= until {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	w.now = max(w.now, until)
}

func (w *world) chance(p float64) bool { return !w.calm && p > 0 && w.rng.Float64() < p }

func (w *world) between(low, high uint64) uint64 { return low + w.rng.Uint64N(high-low+1) }

// say notes what happens, for the digest and whoever reads the trace.
func (w *world) say(who *node, what string, n uint64) {
	for _, c := range []byte(who.name + what) {
		w.digest = (w.digest ^ uint64(c)) * 1099511628211
	}
	w.digest = (w.digest ^ n ^ w.now<<20) * 1099511628211
	if w.trace != nil {
		w.trace("%9.3f s  %s: %s %d", float64(w.now)/second, who.name, what, n)
	}
}

func (w *world) wrong(format string, args ...any) {
	if w.problem == "" {
		w.problem = fmt.Sprintf("after %.3f s: ", float64(w.now)/second) + fmt.Sprintf(format, args...)
	}
}

// fake signs with its address alone.
type fake market.Address

func (f fake) Address() market.Address { return market.Address(f) }

func (f fake) Sign(d market.Hash) (s market.Signature, err error) {
	copy(s[:20], f[:])
	copy(s[20:52], d[:])
	return s, nil
}

func verify(s market.Signature, d market.Hash, who market.Address) error {
	if want, _ := fake(who).Sign(d); s != want {
		return market.ErrSignature
	}
	return nil
}

// node is what providers and clients have in common.
type node struct {
	w    *world
	name string
	side books.Side
	disk *book
	old  *book // a backup, which a crash may bring back
	up   bool
	life int    // how often it was started
	era  int    // how often a backup was brought back: what was under way before is gone
	skew int64  // of its wall clock, ms
	cut  uint64 // until when nothing gets to it or from it
	was  bool   // its clock jumped while it was down or up: what it says of time is unsure
	wake func()
	died func()
}

func newNode(w *world, name string, id byte) node {
	n := node{w: w, name: name, disk: newBook(), up: true}
	n.side = books.Side{Chain: market.NoChain("simulation"), Signer: fake{id}, Verify: verify}
	if w.faults.skew {
		n.skew = int64(w.between(0, 48*hour)) - 24*hour
	}
	return n
}

func (n *node) wall() uint64 { return uint64(int64(n.w.now) + 1_800_000_000_000 + n.skew) }

// after does something later unless the node has crashed by then.
func (n *node) after(ms uint64, do func()) {
	life := n.life
	n.w.after(ms, func() {
		if n.up && n.life == life {
			do()
		}
	})
}

// write is one durable write, before or after which the node may crash. false:
// it did, or do refused.
func (n *node) write(what string, do func() error) bool {
	if !n.up {
		return false
	}
	if err := do(); err != nil {
		n.disk.rollback()
		n.w.say(n, "refused: "+what+": "+err.Error(), 0)
		return false
	}
	if n.w.chance(n.w.faults.crash) {
		n.disk.rollback()
		n.crash()
		return false
	}
	n.disk.commit()
	n.w.say(n, what, 0)
	n.w.model.wrote(n)
	if n.w.chance(n.w.faults.crash) {
		n.crash()
		return false
	}
	return true
}

// send puts a message on its way; it may get lost, or come twice.
func (n *node) send(to *node, what string, deliver func()) {
	if !n.up {
		return
	}
	w := n.w
	from, era, theirs := n, n.era, to.era
	arrive := func() {
		if to.up && from.era == era && to.era == theirs {
			w.say(to, "gets "+what, 0)
			deliver()
		}
	}
	if !w.calm && w.now < max(n.cut, to.cut) {
		return
	}
	if !w.chance(w.faults.loss) {
		w.after(w.between(1, w.faults.delay), arrive)
	}
	if w.chance(w.faults.replay) {
		w.after(w.between(1, 40*second), arrive)
	}
	if w.chance(w.faults.crash / 4) {
		n.crash()
	}
}

func (n *node) crash() {
	w := n.w
	n.up = false
	w.say(n, "crashes", uint64(n.life))
	w.model.crashed(n)
	n.died()
	if w.chance(w.faults.jump) {
		n.skew, n.was = int64(w.between(0, 48*hour))-24*hour, true
	}
	down := w.between(100, 20*second)
	if n.old != nil && w.chance(w.faults.restore) {
		n.disk, n.old = n.old.backup(), nil
		n.era++
		w.say(n, "is brought back from a backup", 0)
		w.model.restored(n)
	}
	w.after(down, n.start)
}

func (n *node) start() {
	if n.up {
		return
	}
	n.up = true
	n.life++
	n.w.say(n, "starts", uint64(n.life))
	n.w.model.started(n)
	n.wake()
}
