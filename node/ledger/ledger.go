package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What can be wrong, by what the caller should do.
var (
	ErrNotFound = errors.New("not in the ledger")     // there is no such record
	ErrInUse    = errors.New("the ledger is in use")  // stop the other process or use another directory
	ErrCorrupt  = errors.New("the ledger is damaged") // restore a backup or start anew
	ErrBroken   = errors.New("the ledger has failed") // take no more work; restart once the disk is well
)

// Options are what Open may be told.
type Options struct {
	FS  vfs.FS       // nil is the disk
	Log *slog.Logger // nil logs nothing
}

// Ledger is an open ledger. Its methods may be called from any goroutine.
type Ledger struct {
	dir  string
	db   *pebble.DB
	lock *pebble.Lock
	mark *mark
	fs   *freezer
	log  *slog.Logger

	writer  chan struct{}                 // held by the one Update whose fn runs
	count   uint64                        // the newest Update's number; the writer's
	tallies bool                          // the store has a tally of them; the writer's
	last    atomic.Pointer[chan struct{}] // closed once the newest applied batch is synced, or never will be
	reason  atomic.Pointer[error]         // why Updates fail, nil while they don't

	mu     sync.Mutex
	closed bool
	users  sync.WaitGroup // running Updates and Views
	stop   chan struct{}  // closed by Close
	ended  chan error     // what closing the store gave
}

// Healthy is nil while the ledger takes Updates, and else an error that wraps
// ErrBroken and says why it doesn't: a write or sync failed (ErrBroken alone)
// or a damaged record was met (ErrCorrupt too; reading goes on).
func (l *Ledger) Healthy() error {
	if p := l.reason.Load(); p != nil {
		return *p
	}
	return nil
}

// Close waits for running Updates and Views and releases the directory. Every
// later call but Healthy and Close fails with ErrBroken.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	err := <-l.ended
	return errors.Join(err, l.lock.Close())
}

// keep owns the store: it closes it when Close asks for that, or as soon as
// the disk failed, so that the store doesn't retry its housekeeping for ever.
func (l *Ledger) keep() {
	select {
	case <-l.stop:
	case <-l.fs.frozen:
	}
	l.mu.Lock()   // whoever enters after this sees why not to
	l.mu.Unlock() //nolint:staticcheck // an empty critical section is a barrier
	l.users.Wait()
	err := errors.Join(closeStore(l.db), l.mark.close())
	if l.fs.isFrozen() {
		err = nil // Healthy has said what happened; the store's own view of it is no news
	}
	l.ended <- err
}

// closeStore turns a panic of a store over a failed disk into an error.
func closeStore(db *pebble.DB) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("closing the ledger's store: %v", r)
		}
	}()
	return db.Close()
}

// enter counts a user of the store in, unless it is closed or has failed.
func (l *Ledger) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("%w: it is closed", ErrBroken)
	}
	if l.fs.isFrozen() {
		return l.Healthy()
	}
	l.users.Add(1)
	return nil
}

// diskFailed is told once, by the first write that failed.
func (l *Ledger) diskFailed(cause error) {
	l.setReason(fmt.Errorf("%w: %w: nothing more is written to %s; free space or replace the disk, then restart", ErrBroken, cause, l.dir))
}

// damaged gives the error for a damaged record or file and stops Updates.
func (l *Ledger) damaged(what error) error {
	err := corrupt(l.dir, what)
	l.setReason(fmt.Errorf("%w: %w", ErrBroken, err))
	return err
}

func (l *Ledger) setReason(err error) {
	if l.reason.CompareAndSwap(nil, &err) {
		l.log.Error("the ledger takes no more work", "err", err)
	}
}

func corrupt(dir string, what error) error {
	return fmt.Errorf("%w: %w in %s; keep a copy of that directory, then restore a backup or start with an empty one",
		ErrCorrupt, what, dir)
}
