package node

import (
	"context"
	"sync"

	"souk/node/control"
	"souk/node/provider"
)

// feedBuffer is how many events a listener may lag behind; a slower one
// misses some rather than hold the provider up.
const feedBuffer = 256

// feed passes the provider's events on to whoever listens.
type feed struct {
	mu        sync.Mutex
	listeners map[chan control.LeaseEvent]struct{}
}

func newFeed() *feed { return &feed{listeners: map[chan control.LeaseEvent]struct{}{}} }

func (f *feed) tell(e provider.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.listeners {
		select {
		case c <- leaseEvent(e):
		default:
		}
	}
}

// listen gives the events from now on, until ctx ends.
func (f *feed) listen(ctx context.Context) <-chan control.LeaseEvent {
	c := make(chan control.LeaseEvent, feedBuffer)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners[c] = struct{}{}
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, c)
		close(c)
	})
	return c
}
