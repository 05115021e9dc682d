package docker

import (
	"context"
	"sync"
)

// flights shares work that several ask for at the same time, such as bringing
// one image for many leases. It goes on for as long as anybody waits for it.
type flights struct {
	mu   sync.Mutex
	open map[string]*flight
}

// flight is one piece of work.
type flight struct {
	cancel  context.CancelFunc
	done    chan struct{}
	release func() // once done; nil: there is nothing to release
	err     error  // once done

	mu    sync.Mutex
	tells map[*func(string)]bool // of those who wait
}

// task is the work, and gives what is to be called once nobody uses its outcome.
type task func(ctx context.Context, tell func(string)) (release func(), err error)

// do waits for the work named key, which is begun if nobody does it yet, and then
// uses its outcome. Each who waits is told of its progress. The last who leaves
// before its end waits until the work has given up.
func (f *flights) do(ctx context.Context, key string, tell func(string), work task, use func() error) error {
	w, leave := f.join(key, &tell, work)
	defer leave()
	select {
	case <-w.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if w.err != nil {
		return w.err
	}
	return use()
}

// join gives the flight, and what is to be called by whoever leaves it.
func (f *flights) join(key string, tell *func(string), work task) (*flight, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.open[key]
	if w == nil {
		if f.open == nil {
			f.open = map[string]*flight{}
		}
		w = &flight{done: make(chan struct{}), tells: map[*func(string)]bool{}}
		var ctx context.Context
		ctx, w.cancel = context.WithCancel(context.Background())
		f.open[key] = w
		go func() {
			defer close(w.done)
			w.release, w.err = work(ctx, w.tell)
		}()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tells[tell] = true
	return w, func() { f.leave(key, w, tell) }
}

// leave ends the work if it was for nobody else. Whoever comes now begins anew.
func (f *flights) leave(key string, w *flight, tell *func(string)) {
	f.mu.Lock()
	w.mu.Lock()
	delete(w.tells, tell)
	last := len(w.tells) == 0
	w.mu.Unlock()
	if f.open[key] == w && (last || w.over()) {
		delete(f.open, key)
	}
	f.mu.Unlock()
	if last {
		w.cancel()
		<-w.done
		if w.release != nil {
			w.release()
		}
	}
}

func (w *flight) over() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// tell passes a line of progress on to all who wait.
func (w *flight) tell(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tell := range w.tells {
		if *tell != nil {
			(*tell)(line)
		}
	}
}
