package control

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// activity knows how many callers there are, and since when there is none.
type activity struct {
	mu     sync.Mutex
	open   int
	latest time.Time // when a caller last came or left
}

func (a *activity) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.add(1)
		defer a.add(-1)
		next.ServeHTTP(w, r)
	})
}

func (a *activity) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open += n
	a.latest = time.Now()
}

// quietFor is for how long nobody has asked; 0 while somebody does.
func (a *activity) quietFor() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open > 0 {
		return 0
	}
	return time.Since(a.latest)
}

const idleLooks = 20 // how often wait looks in the time it waits for

func (a *activity) wait(ctx context.Context, active func() int, quiet time.Duration) error {
	tick := time.NewTicker(max(quiet/idleLooks, time.Millisecond))
	defer tick.Stop()
	busy := time.Now()
	for {
		if active() > 0 {
			busy = time.Now()
		}
		if a.quietFor() >= quiet && time.Since(busy) >= quiet {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
