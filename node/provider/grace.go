package provider

import (
	"context"
	"time"

	"souk/node/books"
	"souk/node/ledger"
)

// What a receipt's body says of a process that the provider stopped. Clients
// may tell by them a Cancel from cover that ran out, so they stay as they are.
const (
	cancelledSentence = "cancelled by the client"
	uncoveredSentence = "no voucher covered the next tick"
	brokenSentence    = "the provider could not write its books"
)

// covered tells whether the tick that runs now may.
func (l *lease) covered(ctx context.Context) bool {
	if l.staked.TickPrice.IsZero() {
		return true
	}
	ch, err := l.onChannel(ctx)
	return err == nil && books.Covered(ch, l.p.stakes(l.channel), l.stake())
}

func (l *lease) onChannel(ctx context.Context) (ch ledger.Channel, err error) {
	err = l.p.Ledger.Peek(ctx, func(tx *ledger.Tx) (err error) {
		ch, err = tx.Channel(ledger.Provider, l.channel)
		return err
	})
	return ch, err
}

// uncovered tells, once the grace is over, whether this lease stops for want of
// cover. If others of the channel do in its place, they are told.
func (l *lease) uncovered(ctx context.Context) bool {
	if l.staked.TickPrice.IsZero() {
		return false
	}
	ch, err := l.onChannel(ctx)
	if err != nil {
		return true
	}
	for _, h := range books.Uncover(ch, l.p.stakes(l.channel), l.others(), l.stake()) {
		if h == l.hash {
			return true
		}
		if other := l.p.lease(h); other != nil {
			other.evict(true)
		}
	}
	return false
}

// others are the stakes of the channel's other leases that have a process.
func (l *lease) others() (running []books.Stake) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	for _, other := range l.p.leases {
		if other != l && other.channel == l.channel && other.execution() != nil && other.running() {
			running = append(running, other.stake())
		}
	}
	return running
}

// evict makes the lease stop unless it is covered when its supervisor looks.
func (l *lease) evict(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.evicted = on
	if on {
		l.wakeLocked()
	}
}

func (l *lease) isEvicted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.evicted
}

// grace is the time that a process goes on while the countersignature for the
// tick before is on its way.
type grace struct {
	d       time.Duration
	t       *time.Timer
	running bool
}

func newGrace(tickUnits uint64) *grace {
	g := &grace{d: books.Grace(tickUnits), t: time.NewTimer(time.Hour)}
	g.stop()
	return g
}

func (g *grace) begin() {
	g.running = true
	g.t.Reset(g.d)
}

func (g *grace) stop() {
	g.running = false
	g.t.Stop()
}

func (g *grace) over() <-chan time.Time { return g.t.C }
