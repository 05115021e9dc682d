package ledger_test

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
)

const shortStory = 6 // steps, for disks that fail, one for each of their changes

// failing fails the nth change of the disk, and all later ones if it lasts. It
// counts the changes.
func failing(n int64, lasts bool) (errorfs.Injector, *atomic.Int64) {
	var changes atomic.Int64
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpLock {
			return nil
		}
		if at := changes.Add(1); at == n || lasts && at > n {
			return syscall.ENOSPC
		}
		return nil
	}), &changes
}

func TestEachFailedWriteBreaksTheLedgerAndLosesNothing(t *testing.T) {
	never, changes := failing(-1, false)
	l, err := ledger.Open("ledger", ledger.Options{FS: errorfs.Wrap(vfs.NewMem(), never)})
	require.NoError(t, err)
	(&story{padding: 2 * bigStory}).tell(l, shortStory)
	require.NoError(t, l.Close())
	t.Logf("%d changes", changes.Load())
	for n := int64(1); n <= changes.Load(); n++ {
		failOnce(t, n, false)
		if n%4 == 0 {
			failOnce(t, n, true)
		}
		if t.Failed() {
			t.Fatalf("change %d", n)
		}
	}
}

func failOnce(t *testing.T, n int64, lasts bool) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	inject, _ := failing(n, lasts)
	s := &story{padding: 2 * bigStory}
	l, err := ledger.Open("ledger", ledger.Options{FS: errorfs.Wrap(disk, inject)})
	if err != nil {
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NotErrorIs(t, err, ledger.ErrCorrupt)
	} else {
		s.tell(l, shortStory)
		if err := l.Healthy(); err != nil {
			require.ErrorIs(t, err, ledger.ErrBroken)
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorIs(t, l.Update(t.Context(), func(*ledger.Tx) error { return nil }), ledger.ErrBroken)
			require.ErrorIs(t, l.View(t.Context(), func(*ledger.Tx) error { return nil }), ledger.ErrBroken)
		} else {
			require.Equal(t, read(&s.started), read(&s.acked), "an Update failed and the ledger calls itself healthy")
		}
		require.NoError(t, l.Close())
	}
	for _, left := range []vfs.FS{disk.CrashClone(vfs.CrashCloneCfg{}), disk} {
		again, err := ledger.Open("ledger", ledger.Options{FS: left})
		require.NoError(t, err)
		check(t, again, read(&s.acked), read(&s.started))
		require.NoError(t, again.Close())
	}
}

func TestConcurrentIncrementsAreAllCounted(t *testing.T) {
	l := open(t, vfs.NewMem())
	s := &story{}
	s.tell(l, 100)
	all := marks{100, 100, 100, 100}
	require.Equal(t, all, read(&s.acked))
	check(t, l, all, all)
}
