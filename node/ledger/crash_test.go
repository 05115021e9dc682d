package ledger_test

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
)

const (
	crashImages = 150
	storySteps  = 12
	shortStory  = 6        // for disks that fail, one for each of their changes
	bigStory    = 12 << 10 // bytes of padding, enough to rotate the log and flush twice
)

func isNotFound(err error) bool { return errors.Is(err, ledger.ErrNotFound) }

// image is the disk as a power loss at one moment left it.
type image struct {
	fs    *vfs.MemFS
	acked marks
}

// powerLoss takes an image just before the nth operation on the disk.
func powerLoss(disk *vfs.MemFS, s *story, n int64, unsynced int, rng *rand.Rand) (errorfs.Injector, *atomic.Pointer[image]) {
	var ops atomic.Int64
	var taken atomic.Pointer[image]
	return errorfs.InjectorFunc(func(errorfs.Op) error {
		if ops.Add(1) == n {
			acked := read(&s.acked) // before the image: these must be in it
			taken.Store(&image{disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng}), acked})
		}
		return nil
	}), &taken
}

func TestPowerLossLosesNothingAcknowledged(t *testing.T) {
	taken := 0
	for seed := range uint64(crashImages) {
		rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's dice
		disk := vfs.NewCrashableMem()
		s, length := &story{}, int64(80) // operations, about
		if seed%3 == 0 {
			s.padding, length = bigStory, 400
		}
		inject, crash := powerLoss(disk, s, rng.Int64N(length)+1, rng.IntN(3)*50, rng)
		l, err := ledger.Open("data/ledger", ledger.Options{FS: errorfs.Wrap(disk, inject)})
		require.NoError(t, err, "seed %d", seed)
		s.tell(l, storySteps)
		require.NoError(t, l.Close(), "seed %d", seed)
		if crash.Load() == nil {
			continue
		}
		taken++
		again, err := ledger.Open("data/ledger", ledger.Options{FS: crash.Load().fs})
		require.NoError(t, err, "seed %d: the store doesn't open", seed)
		check(t, again, crash.Load().acked, read(&s.started))
		require.NoError(t, again.Close())
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d images", taken)
	require.Greater(t, taken, crashImages/2, "too few images were taken in the middle of the story")
}

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
