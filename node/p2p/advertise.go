package p2p

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

const (
	provideTimeout = time.Minute // one key, all its closest peers
	provideAtOnce  = 4           // keys
	grownPause     = time.Second // shortest time between two rounds for new peers
)

// KeyState is how it stands with one advertised key.
type KeyState struct {
	Key         Key
	LastSuccess time.Time // zero: never yet
	LastError   error     // of the last try; nil when it succeeded
}

// Advertiser keeps a node's keys in the DHT until Close: each again after the
// node's AdvertiseEvery ± 20 %, at once when Changed says so or when DHT servers
// come to a small network, and after a growing pause where it failed.
type Advertiser struct {
	keys    func() []Key
	provide func(context.Context, cid.Cid) error
	grown   func() <-chan struct{}
	every   time.Duration
	retry   time.Duration
	changed chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	states map[string]*keyState // by the key's text
}

type keyState struct {
	KeyState
	due   time.Time
	pause time.Duration // before the next try after a failure
}

// Advertise starts advertising what keys returns. keys is called often, from
// one goroutine, and must not block; call Changed when its answer has changed.
// What is no longer in it is forgotten by others within ProvideValidity.
func (n *Node) Advertise(keys func() []Key) *Advertiser {
	a := &Advertiser{
		keys:    keys,
		provide: func(ctx context.Context, c cid.Cid) error { return n.dht.Provide(ctx, c, true) },
		grown:   n.grown.next,
		every:   n.cfg.AdvertiseEvery,
		retry:   n.cfg.RetryMin,
	}
	ctx := a.init(n.ctx)
	if !n.tasks.start(func() { a.run(ctx) }) {
		a.cancel()
		close(a.done)
	}
	return a
}

func (a *Advertiser) init(ctx context.Context) context.Context {
	a.changed = make(chan struct{}, 1)
	a.done = make(chan struct{})
	a.states = make(map[string]*keyState)
	ctx, a.cancel = context.WithCancel(ctx)
	return ctx
}

// Changed says that the keys may have changed: new ones are advertised at once.
func (a *Advertiser) Changed() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// State tells how it stands with each current key, by its text.
func (a *Advertiser) State() []KeyState {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]KeyState, 0, len(a.states))
	for _, s := range a.states {
		out = append(out, s.KeyState)
	}
	slices.SortFunc(out, func(x, y KeyState) int { return strings.Compare(x.Key.String(), y.Key.String()) })
	return out
}

// Close stops advertising and waits for it to end.
func (a *Advertiser) Close() {
	a.cancel()
	<-a.done
}

func (a *Advertiser) run(ctx context.Context) {
	defer close(a.done)
	for ctx.Err() == nil {
		grown := a.grown()
		a.round(ctx)
		a.wait(ctx, grown)
	}
}

// wait returns when something is due.
func (a *Advertiser) wait(ctx context.Context, grown <-chan struct{}) {
	timer := time.NewTimer(time.Until(a.nextDue()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.changed:
	case <-grown:
		a.allDue()
	case <-ctx.Done():
	}
}

// nextDue is when the first key is due; with none, when to ask for keys again.
func (a *Advertiser) nextDue() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := time.Now().Add(a.every)
	for _, s := range a.states {
		if s.due.Before(next) {
			next = s.due
		}
	}
	return next
}

// allDue makes every key due now, or shortly if it was advertised just now.
func (a *Advertiser) allDue() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for _, s := range a.states {
		due := now
		if soonest := s.LastSuccess.Add(grownPause); soonest.After(now) {
			due = soonest
		}
		if due.Before(s.due) {
			s.due = due
		}
	}
}

// round advertises what is due.
func (a *Advertiser) round(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(provideAtOnce)
	for _, s := range a.dueNow() {
		g.Go(func() error {
			one, cancel := context.WithTimeout(ctx, provideTimeout)
			defer cancel()
			err := a.provide(one, s.Key.CID())
			if ctx.Err() == nil {
				a.record(s, err)
			}
			return nil
		})
	}
	_ = g.Wait() // each key's error is recorded with it
}

// dueNow takes over the current key set and returns the keys that are due.
func (a *Advertiser) dueNow() []*keyState {
	current := a.keys()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	states := make(map[string]*keyState, len(current))
	var due []*keyState
	for _, k := range current {
		text := k.String()
		if states[text] != nil {
			continue // it is there twice
		}
		s := a.states[text]
		if s == nil {
			s = &keyState{KeyState: KeyState{Key: k}, due: now}
		}
		if !s.due.After(now) {
			due = append(due, s)
		}
		states[text] = s
	}
	a.states = states
	return due
}

func (a *Advertiser) record(s *keyState, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	s.LastError = err
	if err == nil {
		s.LastSuccess, s.pause = now, 0
		s.due = now.Add(jitter(a.every))
		return
	}
	s.pause = min(max(2*s.pause, a.retry), a.every)
	s.due = now.Add(jitter(s.pause))
}
