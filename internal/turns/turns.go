// Package turns lets callers go on with a key one at a time. It waits for no
// longer than a context says, and remembers no key that nobody has.
package turns

import (
	"context"
	"sync"
)

// Turns are a kind of key's turns; the zero value is ready.
type Turns[K comparable] struct {
	mu    sync.Mutex
	taken map[K]chan struct{}
}

// Take waits for the key's turn; done ends it.
func (t *Turns[K]) Take(ctx context.Context, k K) (done func(), err error) {
	for {
		busy := t.try(k)
		if busy == nil {
			return func() { t.end(k) }, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try takes the turn, or gives what is closed when the one before ends.
func (t *Turns[K]) try(k K) (busy <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.taken[k]; ok {
		return c
	}
	if t.taken == nil {
		t.taken = map[K]chan struct{}{}
	}
	t.taken[k] = make(chan struct{})
	return nil
}

func (t *Turns[K]) end(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.taken[k])
	delete(t.taken, k)
}
