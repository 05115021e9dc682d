package provider

import (
	"bytes"
	"context"
	"time"

	"souk/node/ledger"
	"souk/protocol/market"
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
	if l.quote.TickPrice.IsZero() {
		return true
	}
	ok := false
	err := l.p.Ledger.View(ctx, func(tx *ledger.Tx) error {
		ch, err := tx.Channel(ledger.Provider, l.channel)
		ok = err == nil && l.p.cover(ch, l.hash).MayStart(l.nextTick())
		return err
	})
	return ok && err == nil
}

// mostUncovered tells whether of the channel's leases this is the one to
// stop: the one with the most charge that no countersignature stands for. If
// it is another, that one is told.
func (l *lease) mostUncovered(ctx context.Context) bool {
	if l.covered(ctx) {
		return false
	}
	worst, most := l, l.uncovered()
	l.p.mu.Lock()
	for _, other := range l.p.leases {
		if other == l || other.channel != l.channel || other.execution() == nil || !other.running() {
			continue
		}
		theirs := other.uncovered()
		if c := theirs.Cmp(most); c > 0 || c == 0 && bytes.Compare(other.hash[:], worst.hash[:]) > 0 {
			worst, most = other, theirs
		}
	}
	l.p.mu.Unlock()
	if worst == l {
		return true
	}
	worst.evict(true)
	return false
}

func (l *lease) uncovered() market.Amount {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec.Newest.Charged.Sub(l.rec.Countersigned.Charged).Add(l.unsigned).Add(l.nextTickLocked())
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
// tick before is on its way: a tick, at least MinGrace, at most MaxGrace.
type grace struct {
	d       time.Duration
	t       *time.Timer
	running bool
}

func newGrace(tickUnits uint64) *grace {
	g := &grace{d: min(max(millis(tickUnits), MinGrace), MaxGrace), t: time.NewTimer(time.Hour)}
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
