package provider

import (
	"context"
	"sync"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	"souk/node/capacity"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
)

// lease is a lease that this provider still has something to do for. One
// goroutine, its supervisor, walks it from preparing to its last receipt;
// streams of the client tell it what happened through wake.
type lease struct {
	p       *Provider
	hash    market.Hash
	channel market.Hash
	peer    peer.ID
	quote   market.Quote
	terms   market.Terms
	job     market.Job
	held    *capacity.Reservation // nil once given back
	writes  uint64                // counted inside ledger writes, which come one at a time

	mu       sync.Mutex
	rec      ledger.Lease // as last written
	shown    uint64       // the write that rec is from
	exec     executor.Execution
	conv     *attachment   // the newest attach
	attached bool          // there was one since this process started
	changed  chan struct{} // closed and replaced when anything above changes
}

// add makes a lease known to streams.
func (p *Provider) add(l *lease) {
	l.changed = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leases[l.hash] = l
}

func (p *Provider) remove(l *lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leases[l.hash] == l {
		delete(p.leases, l.hash)
	}
}

func (p *Provider) lease(h market.Hash) *lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leases[h]
}

// start gives a lease its supervisor, which begins with the given step.
func (p *Provider) start(l *lease, step func(context.Context) error) {
	if l.held != nil {
		p.Protect(l.peer, true)
	}
	p.wg.Go(func() {
		if err := step(p.ctx); err != nil && p.ctx.Err() == nil {
			p.Log.Error("lease stuck", "lease", l.hash, "err", err)
			p.Notify(Event{At: p.Now(), Kind: Trouble, Lease: l.hash.Hex(), Text: err.Error()})
		}
	})
}

// running tells that the lease may still start or run a process.
func (l *lease) running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec.State == market.Agreed || l.rec.State == market.Preparing || l.rec.State == market.Running
}

// snapshot is the lease as last written, with what streams need beside it.
func (l *lease) snapshot() (rec ledger.Lease, exec executor.Execution, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec, l.exec, l.changed
}

// wake tells everybody who waits on the lease that something changed.
func (l *lease) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked()
}

func (l *lease) wakeLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// update changes the lease's record in one durable write. change may put
// more in the same write.
func (l *lease) update(ctx context.Context, change func(tx *ledger.Tx, rec *ledger.Lease) error) error {
	var rec ledger.Lease
	var write uint64
	err := l.p.Ledger.Update(ctx, func(tx *ledger.Tx) (err error) {
		l.writes++
		write = l.writes
		if rec, err = tx.Lease(ledger.Provider, l.hash); err != nil {
			return err
		}
		if err = change(tx, &rec); err != nil {
			return err
		}
		return tx.PutLease(rec)
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if write > l.shown { // two writes may return in either order
		l.rec, l.shown = rec, write
	}
	l.wakeLocked()
	return nil
}

// step moves the lease's state on by an event, durably.
func (l *lease) step(ctx context.Context, e market.Event) error {
	return l.update(ctx, func(_ *ledger.Tx, rec *ledger.Lease) (err error) {
		if rec.State, err = market.Next(rec.State, e, l.moment()); err == nil && e == market.Start {
			rec.Started = l.p.nowMillis()
		}
		return err
	})
}

func (l *lease) moment() market.Moment {
	return market.Moment{Now: l.p.nowMillis(), ExpiresAt: l.quote.ExpiresAt, StartBy: l.quote.StartBy}
}

// space is where the client's blobs are.
func (l *lease) space() (*blob.Space, error) { return l.p.Blobs.Space(l.peer.String()) }

// roots are the DAGs that the job needs.
func (l *lease) roots() []cid.Cid {
	roots := []cid.Cid{l.job.WASM}
	for _, in := range l.job.Inputs {
		roots = append(roots, in.CID)
	}
	return roots
}

// giveBack frees what the lease holds of the machine.
func (l *lease) giveBack() {
	if l.held == nil {
		return
	}
	l.held.Release()
	l.held = nil
	l.p.Protect(l.peer, false)
	l.p.freeChanged()
}

func (l *lease) spec() executor.Spec {
	s := executor.Spec{
		ID: l.hash.Hex(), Owner: l.peer.String(), Module: l.job.WASM, Args: l.job.Args, Env: l.job.Env, Outputs: l.job.Outputs, RealTime: l.job.RealTime,
		Limits: executor.Limits{CPU: l.terms.CPU, Memory: l.terms.Memory, Disk: l.terms.Disk, Log: l.terms.MaxLog, Time: millis(l.quote.MaxMillis)},
	}
	for _, in := range l.job.Inputs {
		s.Inputs = append(s.Inputs, executor.Input{At: in.At, CID: in.CID})
	}
	return s
}
