package client

import (
	"context"
	"slices"

	pool "github.com/libp2p/go-buffer-pool"

	"souk/node/ledger"
)

// logChunk is the most log bytes in one event: who is behind catches up with few.
const logChunk = 256 << 10

// Watch tells what happened to a job so far and what happens until it is
// done; the channel is closed after Finished, and when ctx or the engine ends.
// The job's log is that of its executions one after the other; LogData counts
// its Offset in that, and begins at logOffset. Whoever reads slowly misses no
// log, and at most some older ticks.
func (e *Engine) Watch(ctx context.Context, jobID string, logOffset uint64) (<-chan Event, error) {
	id, err := e.resolve(ctx, jobID)
	if err != nil {
		return nil, err
	}
	h, err := e.hubOf(id)
	if err != nil {
		return nil, err
	}
	w := &watcher{e: e, hub: h, out: make(chan Event), offset: logOffset}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	e.wg.Go(func() {
		defer close(w.out)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(e.ctx, cancel)()
		if err := w.run(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn("watching a job ended", "job", id, "err", err)
		}
	})
	return w.out, nil
}

// hubOf is a running job's hub, or what the ledger has of another.
func (e *Engine) hubOf(id string) (*hub, error) {
	if r := e.runner(id); r != nil {
		return r.hub, nil
	}
	return e.newHub(id)
}

// watcher is one who watches.
type watcher struct {
	e      *Engine
	hub    *hub
	out    chan Event
	seen   int
	offset uint64 // in the job's log
	leases []ledger.Lease
	log    logReader
}

func (w *watcher) run(ctx context.Context) error {
	defer w.log.close()
	for {
		events, changed := w.hub.after(w.seen)
		if err := w.look(ctx, events); err != nil {
			return err
		}
		for _, ev := range events {
			// What was logged before an execution or the job ended comes before that.
			if ev.Kind == Ended || ev.Kind == Finished {
				if err := w.pass(ctx, ev.Attempt); err != nil {
					return err
				}
			}
			if !w.send(ctx, ev.Event) || ev.Kind == Finished {
				return ctx.Err()
			}
			w.seen = ev.n
		}
		if err := w.pass(ctx, 0); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *watcher) send(ctx context.Context, ev Event) bool {
	select {
	case w.out <- ev:
		return true
	case <-ctx.Done():
		return false
	}
}

// look reads which executions the job has. An execution logs nothing before
// the event that says it is leased, so without such news there are no others.
func (w *watcher) look(ctx context.Context, events []numbered) (err error) {
	if slices.ContainsFunc(events, func(ev numbered) bool { return ev.Kind == Leased }) {
		_, w.leases, err = w.e.jobAndLeases(ctx, w.hub.id)
	}
	return err
}

// pass sends what is new of the job's log, of executions up to the attempt
// last (0: of all).
func (w *watcher) pass(ctx context.Context, last int) error {
	base := uint64(0)
	for _, l := range w.leases {
		if last > 0 && l.Attempt > last {
			return nil
		}
		size, err := w.e.logSize(l.Hash)
		if err != nil {
			return err
		}
		end := base + uint64(size) //nolint:gosec // not negative
		if err := w.passUpTo(ctx, l, base, end); err != nil {
			return err
		}
		base = end
	}
	return nil
}

// passUpTo sends what is new of one execution's log, which lies between base
// and end in the job's.
func (w *watcher) passUpTo(ctx context.Context, l ledger.Lease, base, end uint64) error {
	for w.offset >= base && w.offset < end {
		data := pool.Get(int(min(logChunk, end-w.offset)))                      //nolint:gosec // at most logChunk
		n, err := w.log.readAt(w.e.logPath(l.Hash), data, int64(w.offset-base)) //nolint:gosec // sizes of files
		if err != nil || n == 0 {
			pool.Put(data)
			return err
		}
		ev := Event{Kind: LogData, Job: w.hub.id, At: w.e.cfg.Clock.Now(), Attempt: l.Attempt, Offset: w.offset, Data: data[:n]}
		if !w.send(ctx, ev) {
			return ctx.Err()
		}
		w.offset += uint64(n) //nolint:gosec // not negative
	}
	return nil
}

// logBase is where an execution's log begins in its job's.
func (r *runner) logBase(l ledger.Lease) (base uint64, err error) {
	_, leases, err := r.e.jobAndLeases(r.e.ctx, r.id)
	for _, before := range leases {
		if before.Hash == l.Hash {
			break
		}
		size, err := r.e.logSize(before.Hash)
		if err != nil {
			return 0, err
		}
		base += uint64(size) //nolint:gosec // not negative
	}
	return base, err
}
