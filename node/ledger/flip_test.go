package ledger_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
	"souk/protocol/market"
)

const (
	flips      = 500 // of each kind of disk
	smallStory = 200 // bytes of padding, so that a thousand disks are soon read
)

// filled is a disk with a ledger on it, closed twice or cut off. What is in the
// log goes into tables at the second start, or when the log is full.
func filled(t *testing.T, padding int, closed bool) (*vfs.MemFS, marks) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	l, err := ledger.Open("ledger", ledger.Options{FS: disk})
	require.NoError(t, err)
	s := &story{padding: padding}
	s.tell(l, 10)
	left := disk.CrashClone(killed())
	require.NoError(t, l.Close())
	if closed {
		l, err = ledger.Open("ledger", ledger.Options{FS: disk})
		require.NoError(t, err)
		require.NoError(t, l.Close())
		left = disk
	}
	return left, read(&s.acked)
}

// killed leaves all that was written, synced or not.
func killed() vfs.CrashCloneCfg {
	return vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))} //nolint:gosec // a test's dice
}

func contents(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	require.NoError(t, err)
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return b
}

// spoiled is a copy of a disk with one file changed.
func spoiled(t *testing.T, disk *vfs.MemFS, name string, change func([]byte) []byte) *vfs.MemFS {
	t.Helper()
	twin := disk.CrashClone(killed())
	b := change(contents(t, disk, "ledger/"+name))
	f, err := twin.Create("ledger/"+name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(b)
	require.NoError(t, err)
	require.NoError(t, errors.Join(f.Sync(), f.Close()))
	return twin
}

// files are the names of a ledger's files that have something in them.
func files(t *testing.T, disk *vfs.MemFS) (names []string) {
	t.Helper()
	all, err := disk.List("ledger")
	require.NoError(t, err)
	for _, name := range all {
		if len(contents(t, disk, "ledger/"+name)) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// told tells whether a spoiled disk was called damaged. If not, each number on
// it must be what was acknowledged.
func told(t *testing.T, disk *vfs.MemFS, acked marks, padding int, what string) bool {
	t.Helper()
	l, err := ledger.Open("ledger", ledger.Options{FS: disk})
	if err == nil {
		err = l.View(t.Context(), func(tx *ledger.Tx) error { return readAll(t, tx, acked, padding) })
		require.NoError(t, l.Close(), what)
	}
	if err != nil {
		require.ErrorIs(t, err, ledger.ErrCorrupt, what)
		require.ErrorContains(t, err, "ledger; keep a copy", what)
	}
	return err != nil
}

func TestAFlippedBitIsNeverReadAsAValue(t *testing.T) {
	for _, closed := range []bool{true, false} {
		disk, acked := filled(t, smallStory, closed)
		names, found := files(t, disk), 0
		for seed := range uint64(flips) {
			rng := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test's dice
			victim := names[rng.IntN(len(names))]
			twin := spoiled(t, disk, victim, func(b []byte) []byte {
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
				return b
			})
			if told(t, twin, acked, smallStory, fmt.Sprintf("seed %d: %s", seed, victim)) {
				found++
			}
		}
		t.Logf("closed %v: %d flips named, %d harmless", closed, found, flips-found)
		require.NotZero(t, found)
	}
}

// readAll reads what the story wrote; ErrNotFound if some of it is missing.
func readAll(t *testing.T, tx *ledger.Tx, acked marks, padding int) error {
	zeros := string(make([]byte, padding))
	for w, n := range acked {
		for i := uint64(1); i <= n; i++ {
			lease, err := tx.Lease(ledger.Provider, leaseID(w, i))
			if err != nil {
				return err
			}
			require.Equal(t, i, lease.Created)
			require.Equal(t, zeros, string(lease.Job))
			if _, err := tx.Receipt(ledger.Provider, leaseID(w, i), 1); err != nil {
				return err
			}
		}
		c, err := tx.Channel(ledger.Provider, writerID(w))
		if err != nil {
			return err
		}
		if c.Vouchers < n {
			return ledger.ErrNotFound
		}
		require.Equal(t, market.NewAmount(n), c.Voucher)
	}
	return nil
}

// Each file is cut to some lengths: that is named, or nothing that was
// acknowledged is missing.
func TestATruncatedFileIsNamed(t *testing.T) {
	for _, c := range []struct {
		padding int
		closed  bool
		named   string // the kind of file whose loss must be seen
	}{{smallStory, false, ".log"}, {smallStory, true, ".sst"}, {bigStory, false, ".log"}} {
		disk, acked := filled(t, c.padding, c.closed)
		found := map[string]int{}
		for _, name := range files(t, disk) {
			size := len(contents(t, disk, "ledger/"+name))
			for _, left := range []int{0, 1, size / 4, size / 2, size - size/4, size - 1} {
				twin := spoiled(t, disk, name, func(b []byte) []byte { return b[:left] })
				if told(t, twin, acked, c.padding, fmt.Sprintf("%s cut from %d bytes to %d", name, size, left)) {
					found[path.Ext(name)]++
				}
			}
		}
		t.Logf("closed %v: cuts that were named, by kind of file: %v", c.closed, found)
		require.NotZero(t, found[c.named])
	}
}

// A store of before there were tallies goes on, and is tallied from then on.
func TestAStoreWithoutATallyGetsOne(t *testing.T) {
	disk := vfs.NewMem()
	l, err := ledger.Open("ledger", ledger.Options{FS: disk})
	require.NoError(t, err)
	write := func() {
		require.NoError(t, l.Update(t.Context(), func(tx *ledger.Tx) error { return tx.PutMeta("promise", []byte("x")) }))
	}
	for range 3 {
		write()
	}
	require.NoError(t, ledger.DropTally(l))
	reopen := func() {
		require.NoError(t, l.Close())
		l, err = ledger.Open("ledger", ledger.Options{FS: disk})
		require.NoError(t, err)
	}
	reopen()
	write()
	write()
	require.EqualValues(t, 5, ledger.Tally(t, l))
	reopen()
	write()
	require.EqualValues(t, 6, ledger.Tally(t, l))
	require.NoError(t, l.Close())
}
