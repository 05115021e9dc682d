package provider

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"souk/node/blob"
	"souk/node/books"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
)

// A client's messages on a lease, each of which may cost a durable write.
const (
	messagesPerSecond = 5
	messagesAtOnce    = 64
)

// errUnchanged, from an update's change, says that there is nothing to write.
var errUnchanged = errors.New("nothing to write")

// lease is a lease that this provider still has something to do for. One
// goroutine, its supervisor, walks it from preparing to its last receipt;
// streams of the client tell it what happened through wake. After that it is
// in memory only while a stream is attached.
type lease struct {
	p       *Provider
	hash    market.Hash
	channel market.Hash
	peer    peer.ID
	quote   market.Quote
	terms   market.Terms
	job     market.Job
	staked  books.Stake           // before anything was charged
	held    *capacity.Reservation // nil once given back
	devices []device.Device       // the leased ones
	writes  uint64                // counted inside ledger writes, which come one at a time
	pace    *rate.Limiter         // of the client's messages

	exchanged  atomic.Bool           // the channel's status was exchanged since this process started
	nudge      chan struct{}         // asks for that exchange now
	arrivals   atomic.Int64          // DAGs whose transfer ended
	received   atomic.Int64          // bytes of inputs
	unstorable atomic.Pointer[error] // why this node could not keep what came

	mu       sync.Mutex
	rec      ledger.Lease // as last written
	shown    uint64       // the write that rec is from
	exec     executor.Execution
	conv     *attachment   // the newest attach
	attached bool          // there was one since this process started
	hold     bool          // the newest one holds the process back
	returned chan struct{} // closed when nothing of the machine is held any more
	gone     bool          // no process runs or will run, and nothing of the machine is held
	unsigned market.Amount // charge of ticks that are over and whose receipt waits for the exchange
	evicted  bool          // of the leases without cover this one has to stop
	lost     *lostError    // a device of it that is gone
	said     string        // how far preparing is
	saidAt   time.Time     // when streams were last told
	changed  chan struct{} // closed and replaced when anything above changes
}

// add makes a lease known to streams.
func (p *Provider) add(l *lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leases[l.hash] = l
}

// newLease makes a lease of its documents.
func (p *Provider) newLease(h market.Hash, client peer.ID, q market.Quote, t market.Terms, j market.Job) *lease {
	return &lease{
		p: p, hash: h, channel: q.Channel, peer: client, quote: q, terms: t, job: j, staked: books.StakeOf(h, q, t),
		changed: make(chan struct{}), returned: make(chan struct{}), said: "waiting for the inputs",
		pace: rate.NewLimiter(messagesPerSecond, messagesAtOnce), nudge: make(chan struct{}, 1),
	}
}

func (l *lease) account() account { return account{l.peer, l.channel} }

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
		p.protect(l.peer, 1)
	}
	p.spawn(func() {
		if err := step(p.ctx); err != nil && p.ctx.Err() == nil {
			p.Log.Error("lease stuck", "lease", l.hash, "err", err)
			p.Notify(Event{At: p.Now(), Kind: Trouble, Lease: l.hash.Hex(), Text: err.Error()})
		}
		l.settle()
	})
}

// settle drops a lease from memory when neither a supervisor nor a stream has
// anything to do with it any more; the books have it.
func (l *lease) settle() {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conv == nil && books.Over(l.rec.State) && l.p.leases[l.hash] == l {
		delete(l.p.leases, l.hash)
	}
}

// protect counts the leases for which a peer's connections are kept.
func (p *Provider) protect(who peer.ID, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.holders[who]
	if p.holders[who] += by; p.holders[who] == 0 {
		delete(p.holders, who)
	}
	if (before == 0) != (before+by == 0) {
		p.Protect(who, before == 0)
	}
}

// stopped tells that no process runs or will run.
func (l *lease) stopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// running tells that the lease may still start or run a process.
func (l *lease) running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runningLocked()
}

func (l *lease) runningLocked() bool {
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
// more in the same write; with errUnchanged nothing is written, and what was
// read is durable.
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
	unchanged := errors.Is(err, errUnchanged)
	if err != nil && !unchanged {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if write > l.shown { // two writes may return in either order
		l.rec, l.shown = rec, write
	}
	if !unchanged {
		l.wakeLocked()
	}
	return nil
}

// reload shows the lease as it is in the books.
func (l *lease) reload(ctx context.Context) error {
	err := l.update(ctx, func(*ledger.Tx, *ledger.Lease) error { return errUnchanged })
	l.wake()
	return err
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

// roots are the DAGs that the job needs of the client.
func (l *lease) roots() []cid.Cid { return l.job.Roots() }

// giveBack frees what the lease holds of the machine: no process of it runs
// any more.
func (l *lease) giveBack() {
	l.mu.Lock()
	held := l.held
	if !l.gone {
		close(l.returned)
	}
	l.gone, l.held = true, nil
	l.mu.Unlock()
	if held != nil {
		held.Release()
		l.p.protect(l.peer, -1)
	}
	l.p.freeChanged()
}

// stake is what the lease has at stake on its channel now.
func (l *lease) stake() books.Stake {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.staked.At(l.rec, l.unsigned)
}

// mayRun gives what the lease has at stake if it may still start or run a process.
func (l *lease) mayRun() (books.Stake, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.staked.At(l.rec, l.unsigned), l.runningLocked()
}

func (l *lease) keepUntil() time.Time { return time.UnixMilli(int64(min(l.terms.KeepUntil, 1<<62))) } //nolint:gosec // capped

func (l *lease) spec() executor.Spec {
	s := executor.Spec{
		ID: l.hash.Hex(), Owner: l.peer.String(), Module: l.job.WASM, Args: l.job.Args, Env: l.job.Env, Outputs: l.job.Outputs, RealTime: l.job.RealTime,
		Devices: execDevices(l.devices), Egress: l.terms.Egress, Progress: l.progress,
		Limits: executor.Limits{CPU: l.terms.CPU, Memory: l.terms.Memory, Disk: l.terms.Disk, Log: l.terms.MaxLog, Time: millis(l.quote.MaxMillis)},
	}
	if i := l.job.Image; i != nil {
		s.Image = &executor.Image{Ref: i.Ref, Archive: i.Archive}
	}
	for _, in := range l.job.Inputs {
		s.Inputs = append(s.Inputs, executor.Input{At: in.At, CID: in.CID})
	}
	return s
}
