package provider

import (
	"context"
	"fmt"
	"time"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/wire"
)

// After a restart nothing is signed on a channel before its status was
// exchanged with the client: the books may be those of a restored backup.

// The waits between two tries to reach a client that is silent.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// exchange exchanges the status of the lease's channel, trying again until
// that worked, the lease's time is over or the node closes.
func (l *lease) exchange(ctx context.Context) {
	wait := firstRetry
	for !l.exchanged.Load() && l.p.Now().Before(l.keepUntil()) {
		if err := l.exchangeOnce(ctx); err == nil {
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			wait = min(2*wait, lastRetry)
		case <-l.nudge: // the client is here
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func (l *lease) exchangeOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wire.AskTimeout)
	defer cancel()
	if err := l.p.reconcile(ctx, l.account()); err != nil {
		return err
	}
	if err := l.reload(ctx); err != nil {
		return err
	}
	l.exchanged.Store(true)
	l.wake()
	return nil
}

// askForLast asks clients for the last countersignatures that are missing. One
// that gave it and didn't hear that it came closes its lease all the same, and
// doesn't attach again.
func (p *Provider) askForLast(live []ledger.Lease) error {
	asked := map[account]bool{}
	for _, rec := range live {
		if !books.Over(rec.State) {
			continue
		}
		l, err := p.revive(rec)
		if err != nil {
			return fmt.Errorf("lease %s: %w", rec.Hash, err)
		}
		if !asked[l.account()] {
			asked[l.account()] = true
			p.spawn(func() { l.exchange(p.ctx) })
		}
	}
	return nil
}

// awaitExchange tells whether the status was exchanged before keepUntil.
func (l *lease) awaitExchange(ctx context.Context) (bool, error) {
	if l.exchanged.Load() {
		return true, nil
	}
	end := time.NewTimer(l.keepUntil().Sub(l.p.Now()))
	defer end.Stop()
	for {
		_, _, changed := l.snapshot()
		if l.exchanged.Load() {
			return true, nil
		}
		select {
		case <-changed:
		case <-end.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// here tells a lease that its client is connected.
func (l *lease) here() {
	select {
	case l.nudge <- struct{}{}:
	default: // told already
	}
}
