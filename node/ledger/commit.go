package ledger

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Update runs fn, alone, on the newest state and makes what it wrote durable:
// nil means that it is synced to disk. fn's error aborts and is returned as it
// is, also only after all that fn could read is durable. ctx counts until the
// writes are applied and no longer. An error that wraps ErrBroken leaves open
// whether a restart will find them. fn must neither call Update nor wait for
// the network.
func (l *Ledger) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.users.Done()
	c, err := l.apply(ctx, fn)
	if c == nil {
		if broken := l.settled(ctx); broken != nil {
			return broken
		}
		return err
	}
	return l.sync(c)
}

// commit is a batch that is applied and not yet synced.
type commit struct {
	batch *pebble.Batch
	count uint64
	done  chan struct{}
}

func (l *Ledger) sync(c *commit) error {
	if err := c.batch.SyncWait(); err != nil {
		l.fs.freeze(err)
	}
	close(c.done)
	_ = c.batch.Close()
	if l.fs.isFrozen() {
		return l.Healthy()
	}
	l.mark.raise(c.count)
	return nil
}

// apply runs fn and applies its writes. It gives none if there is nothing to
// sync.
func (l *Ledger) apply(ctx context.Context, fn func(*Tx) error) (*commit, error) {
	select {
	case l.writer <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.writer }()
	if err := l.Healthy(); err != nil {
		return nil, err
	}
	batch := l.db.NewIndexedBatch()
	applied := false
	defer func() {
		if !applied {
			_ = batch.Close()
		}
	}()
	if err := l.run(fn, &Tx{ledger: l, from: batch, batch: batch}); err != nil || batch.Empty() {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, err := l.number(batch)
	if err != nil {
		return nil, err
	}
	// Told before it can be seen, so that a View that sees it waits for it.
	done := make(chan struct{})
	l.last.Store(&done)
	if err := l.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		l.fs.freeze(err)
		close(done)
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	applied = true
	return &commit{batch, n, done}, nil
}

// View runs fn on a snapshot of the state, of which everything is durable
// before fn starts. fn's error is returned as it is.
func (l *Ledger) View(ctx context.Context, fn func(*Tx) error) error {
	return l.read(ctx, l.settled, fn)
}

// Peek runs fn on a snapshot of the newest state, without waiting for the disk:
// a crash may undo what it shows. It is for what an Update then decides, and
// for guesses; no promise may rest on it alone.
func (l *Ledger) Peek(ctx context.Context, fn func(*Tx) error) error {
	return l.read(ctx, func(context.Context) error { return nil }, fn)
}

func (l *Ledger) read(ctx context.Context, wait func(context.Context) error, fn func(*Tx) error) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.users.Done()
	snapshot := l.db.NewSnapshot()
	defer func() { _ = snapshot.Close() }()
	if err := wait(ctx); err != nil {
		return err
	}
	return l.run(fn, &Tx{ledger: l, from: snapshot})
}

func (l *Ledger) run(fn func(*Tx) error, tx *Tx) error {
	defer func() { tx.from = nil }()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.err
}

// settled waits until all that was applied so far is synced.
func (l *Ledger) settled(ctx context.Context) error {
	select {
	case <-*l.last.Load():
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.fs.isFrozen() {
		return l.Healthy()
	}
	return nil
}
