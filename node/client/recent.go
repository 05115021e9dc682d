package client

import (
	"context"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"souk/internal/cache"
)

// maxRecent is the most searches that are remembered.
const maxRecent = 64

// recent are the searches that run or ended a moment ago: jobs that are placed
// together, or close to one another, share one, and none of them asks a
// provider again for what it has just said.
type recent struct {
	mu  sync.Mutex
	all *lru.Cache[string, *ended]
}

// ended is a search. Its time is valid once over is closed.
type ended struct {
	over chan struct{}
	at   time.Duration // monotonic
}

func newRecent() *recent { return &recent{all: cache.New[string, *ended](maxRecent)} }

// share waits for a search of the same key that runs, and runs one itself unless
// that one ended less than fresh ago and enough says that it found what is needed
// here. now is the monotonic clock.
func (r *recent) share(ctx context.Context, key string, fresh time.Duration, now func() time.Duration, enough func() bool, search func()) {
	r.mu.Lock()
	old, known := r.all.Get(key)
	if !known {
		old = r.begin(key)
	}
	r.mu.Unlock()
	if known {
		select {
		case <-old.over:
		case <-ctx.Done():
			return
		}
		if now()-old.at < fresh && enough() {
			return
		}
		r.mu.Lock()
		old = r.begin(key)
		r.mu.Unlock()
	}
	defer close(old.over)
	search()
	old.at = now()
}

// begin notes a search that is about to run.
func (r *recent) begin(key string) *ended {
	s := &ended{over: make(chan struct{})}
	r.all.Add(key, s)
	return s
}
