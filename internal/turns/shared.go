package turns

import (
	"context"
	"sync"
)

// Shared are turns whose outcome all get who waited for them, instead of trying
// the same one after the other. The zero value is ready.
type Shared[K comparable] struct {
	mu    sync.Mutex
	going map[K]*attempt
}

type attempt struct {
	over chan struct{}
	err  error
	cut  bool // short, by its own caller's context: that says nothing to others
}

// Do does a key's work, or waits for whoever is at it and returns their error.
func (s *Shared[K]) Do(ctx context.Context, k K, work func() error) error {
	for {
		a, own := s.join(k)
		if own {
			return s.try(ctx, k, a, work)
		}
		select {
		case <-a.over:
			if !a.cut {
				return a.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Shared[K]) join(k K) (a *attempt, own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.going[k]; a != nil {
		return a, false
	}
	if s.going == nil {
		s.going = map[K]*attempt{}
	}
	a = &attempt{over: make(chan struct{}), cut: true}
	s.going[k] = a
	return a, true
}

func (s *Shared[K]) try(ctx context.Context, k K, a *attempt, work func() error) error {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.going, k)
		close(a.over)
	}()
	a.err = work()
	a.cut = ctx.Err() != nil
	return a.err
}
