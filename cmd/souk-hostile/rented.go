package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// rented is a lease whose job only seems to run.
type rented struct {
	shop      *shop
	hash      market.Hash
	client    peer.ID
	a         lease.Accepted
	signature market.Signature
	cheat     cheat
	results   results

	mu        sync.Mutex
	state     market.State
	missing   map[cid.Cid]bool // inputs that did not come yet
	attaches  int
	supersede context.CancelFunc // ends the newest conversation
	cancelled bool
	log       []byte
	newest    market.Receipt
	sent      []receipt // in the order in which they go out
	changed   chan struct{}
}

// receipt is one that is on its way to the client.
type receipt struct {
	doc  market.Receipt
	wire *pb.Receipt
}

func newRented(s *shop, client peer.ID, a lease.Accepted, sig market.Signature, c cheat) *rented {
	l := &rented{
		shop: s, hash: a.Lease.Hash(), client: client, a: a, signature: sig, cheat: c, results: newResults(),
		state: market.Agreed, missing: map[cid.Cid]bool{a.Job.WASM: true}, changed: make(chan struct{}),
	}
	for _, in := range a.Job.Inputs {
		l.missing[in.CID] = true
	}
	return l
}

func (l *rented) say(format string, args ...any) {
	l.shop.say("lease %s: "+format, append([]any{short(l.hash)}, args...)...)
}

// change changes the lease and tells everybody who waits on it.
func (l *rented) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// look reads the lease; changed is closed at its next change.
func (l *rented) look(f func()) (changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	return l.changed
}

// await waits until done, or with false until ctx ends.
func (l *rented) await(ctx context.Context, done func() bool) bool {
	for {
		ok := false
		changed := l.look(func() { ok = done() })
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// play makes the client believe that its job is prepared, runs and ends.
func (l *rented) play(ctx context.Context) {
	l.change(func() { l.state = market.Preparing })
	limited, cancel := context.WithDeadline(ctx, time.UnixMilli(int64(l.a.Quote.StartBy))) //nolint:gosec // set by this shop
	defer cancel()
	if !l.await(limited, func() bool { return l.cancelled || l.attaches > 0 && len(l.missing) == 0 }) {
		if ctx.Err() == nil {
			l.end(0, market.Expired)
		}
		return
	}
	l.say("the inputs are here; the job seems to run")
	l.change(func() {
		l.state = market.Running
		l.log = append(l.log, "starting\n"...)
	})
	l.run(ctx)
}

// run signs a receipt a tick until the job seems to have ended.
func (l *rented) run(ctx context.Context) {
	start, last := time.Now(), l.cheat.ticks
	if last == 0 {
		last = l.shop.cfg.ticks
	}
	for n := 1; ; n++ {
		next := start.Add(time.Duration(n) * l.shop.cfg.tick)
		cancelled := l.untilCancelled(ctx, next)
		ran := uint64(time.Since(start).Milliseconds()) //nolint:gosec // positive
		switch {
		case ctx.Err() != nil:
			return
		case cancelled:
			l.end(ran, market.Cancelled)
			return
		case l.cheat.boundary != nil && l.cheat.boundary(l, n):
			return
		case n >= last || ran >= l.a.Quote.MaxMillis:
			l.end(ran, market.Succeeded)
			return
		}
		l.change(func() { l.log = fmt.Appendf(l.log, "step %d of %d\n", n, last) })
		l.issue(ran, market.NotEnded, market.Body{CPUMillis: int64(ran)}) //nolint:gosec // small
	}
}

// untilCancelled waits for a moment, and tells whether the client cancelled before.
func (l *rented) untilCancelled(ctx context.Context, moment time.Time) bool {
	ctx, cancel := context.WithDeadline(ctx, moment)
	defer cancel()
	return l.await(ctx, func() bool { return l.cancelled })
}

// end signs the last receipt.
func (l *rented) end(ran uint64, outcome market.Outcome) {
	body := market.Body{Cause: "stopped", CPUMillis: int64(ran)} //nolint:gosec // small
	if outcome == market.Succeeded {
		zero := 0
		body.Cause, body.ExitCode, body.Outputs = "exited", &zero, &l.results.root
		l.change(func() { l.log = append(l.log, "done\n"...) })
		l.say("claiming that the job %s after %s s, with outputs %s", outcome, seconds(ran), l.results.root)
	} else {
		l.say("the lease ends: %s", outcome)
	}
	l.change(func() { l.state = market.Finishing })
	l.issue(ran, outcome, body)
}
