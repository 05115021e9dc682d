package provider

import (
	"context"
	"sync"
)

// turns lets one caller at a time go on with a key. Its memory is the keys
// that somebody has now.
type turns[K comparable] struct {
	mu    sync.Mutex
	taken map[K]chan struct{}
}

// take waits for the key's turn; done ends it.
func (t *turns[K]) take(ctx context.Context, k K) (done func(), err error) {
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
func (t *turns[K]) try(k K) (busy <-chan struct{}) {
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

func (t *turns[K]) end(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.taken[k])
	delete(t.taken, k)
}
