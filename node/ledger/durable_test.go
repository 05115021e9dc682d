package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
)

// slowSync holds each sync of the log until it is let go.
type slowSync struct {
	on    atomic.Bool
	syncs atomic.Int64
	gate  chan struct{}
}

func (s *slowSync) String() string { return "slow syncs" }

func (s *slowSync) MaybeError(op errorfs.Op) error {
	sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
	if s.on.Load() && sync && strings.HasSuffix(op.Path, ".log") {
		s.syncs.Add(1)
		<-s.gate
	}
	return nil
}

func slowLedger(t *testing.T) (*ledger.Ledger, *slowSync) {
	t.Helper()
	s := &slowSync{gate: make(chan struct{})}
	l, err := ledger.Open("ledger", ledger.Options{FS: errorfs.Wrap(vfs.NewMem(), s)})
	require.NoError(t, err)
	s.on.Store(true)
	return l, s
}

func TestNothingIsShownBeforeItIsDurable(t *testing.T) {
	no := errors.New("no")
	see := func(tx *ledger.Tx) error { _, err := tx.Meta("promise"); return err }
	readers := map[string]func(*ledger.Ledger, context.Context) error{
		"View":           func(l *ledger.Ledger, ctx context.Context) error { return l.View(ctx, see) },
		"reading Update": func(l *ledger.Ledger, ctx context.Context) error { return l.Update(ctx, see) },
		"aborting Update": func(l *ledger.Ledger, ctx context.Context) error {
			return l.Update(ctx, func(*ledger.Tx) error { return no })
		},
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, slow := slowLedger(t)
				ctx, cancel := context.WithCancel(t.Context())
				written, seen, gaveUp := make(chan error, 1), make(chan error, 1), make(chan error, 1)
				go func() {
					written <- l.Update(ctx, func(tx *ledger.Tx) error { return tx.PutMeta("promise", []byte("x")) })
				}()
				synctest.Wait()
				go func() { seen <- read(l, context.Background()) }()
				go func() { gaveUp <- read(l, ctx) }()
				synctest.Wait()
				require.Empty(t, written)
				require.Empty(t, seen, "it returned before the promise was durable")
				cancel()
				synctest.Wait()
				require.ErrorIs(t, <-gaveUp, context.Canceled)
				require.Empty(t, written, "an applied Update must not be given up")
				close(slow.gate)
				require.NoError(t, <-written)
				if err := <-seen; err != nil {
					require.Equal(t, no, err)
				}
				require.NoError(t, l.Close())
			})
		})
	}
}

func TestAPeekDoesNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, slow := slowLedger(t)
		written := make(chan error, 1)
		go func() {
			written <- l.Update(t.Context(), func(tx *ledger.Tx) error { return tx.PutMeta("promise", []byte("x")) })
		}()
		synctest.Wait()
		require.NoError(t, l.Peek(t.Context(), func(tx *ledger.Tx) error {
			_, err := tx.Meta("promise")
			return err
		}))
		require.Error(t, l.Peek(t.Context(), func(tx *ledger.Tx) error { return tx.PutMeta("promise", nil) }), "it can't write")
		require.Empty(t, written)
		close(slow.gate)
		require.NoError(t, <-written)
		require.NoError(t, l.Close())
	})
}

func TestConcurrentUpdatesShareASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, slow := slowLedger(t)
		const updates = 50
		done := make(chan error, updates)
		for range updates {
			go func() {
				done <- l.Update(t.Context(), func(tx *ledger.Tx) error {
					n, err := count(tx, "n")
					return firstOf(err, setCount(tx, "n", n+1))
				})
			}()
		}
		synctest.Wait()
		close(slow.gate)
		for range updates {
			require.NoError(t, <-done)
		}
		require.LessOrEqual(t, slow.syncs.Load(), int64(3))
		require.NoError(t, l.Close())
	})
}
