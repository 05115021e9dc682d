package main

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"souk/node/executor"
	"souk/protocol/market"
)

// stage is an executor whose processes are none: their running time goes on a
// tick at a time, each as soon as the receipt of the one before is countersigned.
type stage struct {
	tick time.Duration

	mu     sync.Mutex
	acts   map[string]*act // by lease
	closed bool
}

// act is one execution on the stage.
type act struct {
	s       *stage
	id      string
	changed *sync.Cond // of this one alone: its tick is no other lease's business
	over    int        // ticks that have passed, the newest perhaps without a receipt
	signed  int        // receipts of them
	done    chan struct{}
}

func newStage(tick time.Duration) *stage {
	return &stage{tick: tick, acts: map[string]*act{}}
}

// pass lets the next tick of a lease pass.
func (s *stage) pass(lease string) { s.change(lease, func(a *act) { a.over++ }) }

// receipt notes that the receipt of a lease's newest tick was signed.
func (s *stage) receipt(lease string) { s.change(lease, func(a *act) { a.signed++ }) }

func (s *stage) change(lease string, change func(*act)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.acts[lease]; a != nil {
		change(a)
		a.changed.Broadcast()
	}
}

// end lets whoever waits for a tick go.
func (s *stage) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, a := range s.acts {
		a.changed.Broadcast()
	}
}

// Kind is that of WASM jobs.
func (s *stage) Kind() string { return market.KindWASM }

// Check finds nothing wrong.
func (s *stage) Check(context.Context) error { return nil }

// Recover finds nothing.
func (s *stage) Recover(context.Context) ([]executor.Execution, error) { return nil, nil }

// Close ends nothing.
func (s *stage) Close(bool) error { return nil }

// Prepare makes an act.
func (s *stage) Prepare(_ context.Context, spec executor.Spec) (executor.Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &act{s: s, id: spec.ID, changed: sync.NewCond(&s.mu), done: make(chan struct{})}
	s.acts[spec.ID] = a
	return a, nil
}

func (a *act) ID() string                  { return a.id }
func (a *act) Start(context.Context) error { return nil }
func (a *act) Stop(context.Context) error  { return nil }
func (a *act) Done() <-chan struct{}       { return a.done }
func (a *act) OutputDir() string           { return "" }
func (a *act) LogFile() string             { return "" }
func (a *act) Remove() error               { return nil }

func (a *act) Result() executor.Result { return executor.Result{Cause: executor.Stopped} }

func (a *act) Log(context.Context, int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(nil)), nil
}

// Usage is asked by the lease's supervisor alone. It waits until a tick has
// passed that has no receipt; the next boundary is then a millisecond away.
func (a *act) Usage() executor.Usage {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	for a.signed >= a.over && !a.s.closed {
		a.changed.Wait()
	}
	return executor.Usage{Running: true, Ran: time.Duration(a.over+1)*a.s.tick - time.Millisecond}
}
