package crashpoint_test

import (
	"errors"
	"fmt"
	"sync"
)

var errCrash = errors.New("the node has crashed")

// point is a moment at which a node may crash.
type point struct {
	side   string // "provider" or "client"
	state  string // of the side's newest lease, as it is in its books
	moment string // "before" or "after"
	what   string // a write, a message or a call of the executor
}

func (p point) String() string {
	return fmt.Sprintf("%-8s  %-9s  %-6s  %s", p.side, p.state, p.moment, p.what)
}

// fate ends one life of a node at the point that fatal chooses. From then on
// nothing that the node does has an effect: no write, no message, no call.
type fate struct {
	side  string
	fatal func(p point) bool // nil: none is
	last  func()             // keeps what is durable at that moment
	died  chan struct{}

	mu    sync.Mutex
	state string
	dead  bool
	met   []point // in order
}

func newFate(side string, fatal func(point) bool) *fate {
	return &fate{side: side, fatal: fatal, state: noLease, died: make(chan struct{})}
}

// pass lets the node live on at a point, or not.
func (f *fate) pass(moment, what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errCrash
	}
	p := point{f.side, f.state, moment, what}
	f.met = append(f.met, p)
	if f.fatal == nil || !f.fatal(p) {
		return nil
	}
	f.endLocked()
	return errCrash
}

// end crashes the node at once.
func (f *fate) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dead {
		f.endLocked()
	}
}

func (f *fate) endLocked() {
	f.dead = true
	f.last()
	close(f.died)
}

func (f *fate) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// around does something between its two points.
func (f *fate) around(what string, do func() error) error {
	if err := f.pass("before", what); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, f.pass("after", what))
}

func (f *fate) setState(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = s
}

func (f *fate) points() []point {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]point(nil), f.met...)
}
