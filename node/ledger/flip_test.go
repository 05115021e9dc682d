package ledger_test

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
	"souk/protocol/market"
)

const flips = 60

// filled is a disk with a ledger in tables and log, closed or cut off.
func filled(t *testing.T, closed bool) (*vfs.MemFS, marks) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	l, err := ledger.Open("ledger", ledger.Options{FS: disk})
	require.NoError(t, err)
	s := &story{padding: bigStory}
	s.tell(l, 10)
	killed := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))} //nolint:gosec // a test's dice
	left := disk.CrashClone(killed)
	require.NoError(t, l.Close())
	if closed {
		left = disk
	}
	return left, read(&s.acked)
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

// flipped is a copy of a disk with one bit of one file turned round.
func flipped(t *testing.T, disk *vfs.MemFS, rng *rand.Rand) (*vfs.MemFS, string) {
	t.Helper()
	names, err := disk.List("ledger")
	require.NoError(t, err)
	var victim string
	for victim == "" || len(contents(t, disk, "ledger/"+victim)) == 0 {
		victim = names[rng.IntN(len(names))]
	}
	twin := vfs.NewMem()
	require.NoError(t, twin.MkdirAll("ledger", 0o700))
	for _, name := range names {
		b := contents(t, disk, "ledger/"+name)
		if name == victim {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		}
		f, err := twin.Create("ledger/"+name, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = f.Write(b)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		require.NoError(t, f.Close())
	}
	return twin, victim
}

func TestAFlippedBitIsNeverReadAsAValue(t *testing.T) {
	for _, closed := range []bool{true, false} {
		disk, acked := filled(t, closed)
		found, harmless := 0, 0
		for seed := range uint64(flips) {
			rng := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test's dice
			twin, victim := flipped(t, disk, rng)
			l, err := ledger.Open("ledger", ledger.Options{FS: twin})
			if err == nil {
				err = l.View(t.Context(), func(tx *ledger.Tx) error { return readAll(t, tx, acked) })
				require.NoError(t, l.Close(), "seed %d: %s", seed, victim)
			}
			if err == nil {
				harmless++
			} else {
				require.ErrorIs(t, err, ledger.ErrCorrupt, "seed %d: %s", seed, victim)
				require.ErrorContains(t, err, "ledger; keep a copy")
				found++
			}
		}
		t.Logf("closed %v: %d named, %d harmless", closed, found, harmless)
		require.NotZero(t, found)
	}
}

// readAll reads what the story wrote; ErrNotFound if some of it is missing.
func readAll(t *testing.T, tx *ledger.Tx, acked marks) error {
	zeros := string(make([]byte, bigStory))
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

func TestATruncatedLogIsNamed(t *testing.T) {
	disk, _ := filled(t, false)
	names, err := disk.List("ledger")
	require.NoError(t, err)
	cut := 0
	for _, name := range names {
		if b := contents(t, disk, "ledger/"+name); strings.HasSuffix(name, ".log") && len(b) > 20<<10 {
			f, err := disk.Create("ledger/"+name, vfs.WriteCategoryUnspecified)
			require.NoError(t, err)
			_, err = f.Write(b[:len(b)-16<<10])
			require.NoError(t, err)
			require.NoError(t, f.Close())
			cut++
		}
	}
	require.NotZero(t, cut)
	_, err = ledger.Open("ledger", ledger.Options{FS: disk})
	require.ErrorIs(t, err, ledger.ErrCorrupt)
	t.Log(err)
}
