package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/ledger"
	"souk/protocol/market"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, fs vfs.FS) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open("ledger", ledger.Options{FS: fs})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func update(t *testing.T, l *ledger.Ledger, fn func(*ledger.Tx) error) {
	t.Helper()
	require.NoError(t, l.Update(t.Context(), fn))
}

func view(t *testing.T, l *ledger.Ledger, fn func(*ledger.Tx) error) {
	t.Helper()
	require.NoError(t, l.View(t.Context(), fn))
}

func hashOf(n byte) market.Hash { return market.Hash{31: n} }

func TestAnUpdateIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(dir, ledger.Options{})
	require.NoError(t, err)
	lease := ledger.Lease{
		Hash: hashOf(1), Role: ledger.Client, State: market.Running, Outcome: market.NotEnded,
		Chain: market.NoChain("souk"), Block: []byte{1, 2}, Paid: market.NewAmount(7), Created: 5,
		Newest: ledger.Mark{Seq: 3, Units: 9, Charged: market.NewAmount(4)},
	}
	update(t, l, func(tx *ledger.Tx) error { return tx.PutLease(lease) })
	require.NoError(t, l.Close())

	l, err = ledger.Open(dir, ledger.Options{})
	require.NoError(t, err)
	view(t, l, func(tx *ledger.Tx) error {
		got, err := tx.Lease(ledger.Client, hashOf(1))
		require.Equal(t, lease, got)
		_, missing := tx.Lease(ledger.Provider, hashOf(1))
		require.ErrorIs(t, missing, ledger.ErrNotFound)
		return err
	})
	require.NoError(t, l.Close())
}

func TestAnUpdateReadsItsOwnWritesAndAbortsWhole(t *testing.T) {
	l := open(t, vfs.NewMem())
	no := errors.New("no")
	require.Equal(t, no, l.Update(t.Context(), func(tx *ledger.Tx) error {
		require.NoError(t, tx.PutMeta("salt", []byte("x")))
		got, err := tx.Meta("salt")
		require.NoError(t, err)
		require.Equal(t, []byte("x"), got)
		return no
	}))
	view(t, l, func(tx *ledger.Tx) error {
		_, err := tx.Meta("salt")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		return nil
	})
}

func TestAViewCannotWriteAndAnEndedTxFails(t *testing.T) {
	l := open(t, vfs.NewMem())
	var kept *ledger.Tx
	require.Error(t, l.View(t.Context(), func(tx *ledger.Tx) error {
		kept = tx
		_ = tx.PutMeta("salt", nil)
		return nil
	}), "overlooking a failed write must not make it pass")
	_, err := kept.Meta("salt")
	require.Error(t, err)
	require.Error(t, kept.PutMeta("salt", nil))
	for _, err := range kept.Peers() {
		require.Error(t, err)
	}
}

func TestACancelledUpdateWritesNothing(t *testing.T) {
	l := open(t, vfs.NewMem())
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, l.Update(ctx, func(tx *ledger.Tx) error {
		cancel()
		return tx.PutMeta("salt", []byte("x"))
	}), context.Canceled)
	view(t, l, func(tx *ledger.Tx) error {
		_, err := tx.Meta("salt")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		return nil
	})
}

func TestAClosedLedgerRefuses(t *testing.T) {
	l := open(t, vfs.NewMem())
	require.NoError(t, l.Close())
	nothing := func(*ledger.Tx) error { return nil }
	require.ErrorIs(t, l.Update(t.Context(), nothing), ledger.ErrBroken)
	require.ErrorIs(t, l.View(t.Context(), nothing), ledger.ErrBroken)
}

func TestVouchersAreCountedByAddVoucherAlone(t *testing.T) {
	l := open(t, vfs.NewMem())
	id := hashOf(9)
	update(t, l, func(tx *ledger.Tx) error {
		require.ErrorIs(t, tx.AddVoucher(ledger.Provider, ledger.Voucher{Channel: id}), ledger.ErrNotFound)
		stale := ledger.Channel{ID: id, Role: ledger.Provider}
		require.NoError(t, tx.PutChannel(stale))
		for n := range uint64(3) {
			require.NoError(t, tx.AddVoucher(ledger.Provider, ledger.Voucher{Channel: id, Max: market.NewAmount(n)}))
			require.NoError(t, tx.PutChannel(stale))
		}
		return nil
	})
	view(t, l, func(tx *ledger.Tx) error {
		c, err := tx.Channel(ledger.Provider, id)
		require.NoError(t, err)
		require.EqualValues(t, 3, c.Vouchers)
		n := uint64(0)
		for v, err := range tx.Vouchers(ledger.Provider, id) {
			require.NoError(t, err)
			require.Equal(t, market.NewAmount(n), v.Max)
			n++
		}
		require.EqualValues(t, 3, n)
		return nil
	})
}

func TestALoopMayWrite(t *testing.T) {
	l := open(t, vfs.NewMem())
	update(t, l, func(tx *ledger.Tx) error {
		for n := range byte(20) {
			require.NoError(t, tx.PutQuote(ledger.Quote{Hash: hashOf(n), ExpiresAt: uint64(n)}))
		}
		return nil
	})
	update(t, l, func(tx *ledger.Tx) error {
		for q, err := range tx.Quotes() {
			require.NoError(t, err)
			if q.ExpiresAt < 15 {
				require.NoError(t, tx.DeleteQuote(q.Hash))
			}
		}
		return nil
	})
	left := 0
	view(t, l, func(tx *ledger.Tx) error {
		for _, err := range tx.Quotes() {
			require.NoError(t, err)
			left++
		}
		return nil
	})
	require.Equal(t, 5, left)
}

func TestAPanicInATransactionLeavesTheLedgerUsable(t *testing.T) {
	l := open(t, vfs.NewMem())
	boom := func(tx *ledger.Tx) error { _ = tx.PutMeta("salt", nil); panic("boom") }
	require.Panics(t, func() { _ = l.Update(t.Context(), boom) })
	require.Panics(t, func() { _ = l.View(t.Context(), boom) })
	update(t, l, func(tx *ledger.Tx) error {
		_, err := tx.Meta("salt")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		return nil
	})
}
