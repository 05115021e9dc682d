package blob

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
)

// crashes is how many times the power goes off in TestPowerLoss.
const crashes = 300

// promised is what the store said was on disk.
type promised struct {
	blocks   []Block
	complete []cid.Cid
	pins     map[cid.Cid]time.Time
}

// The power goes off at a random moment; of what was not synced a random part
// is on disk. Whatever was promised before is there, nothing is damaged, and
// what was cut short can be taken up again.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(crashes) {
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's choices
			fs := vfs.NewCrashableMem()
			s := memSpace(t, Options{FS: fs, PackBytes: 1 + rng.Int64N(2000)})
			want := promised{pins: map[cid.Cid]time.Time{}}
			for range 1 + rng.IntN(6) {
				live(t, rng, s, &want)
			}
			after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			inspect(t, memSpace(t, Options{FS: after}), want)
		})
		if !ok {
			t.Fatalf("replay with -run 'TestPowerLoss/seed=%d$'", seed)
		}
	}
}

// live does one thing that a node does, and notes what it was promised.
func live(t *testing.T, rng *rand.Rand, s *Space, want *promised) {
	t.Helper()
	switch rng.IntN(4) {
	case 0:
		b := raw(fmt.Sprint("put ", rng.Uint64()))
		put(t, s, b)
		want.blocks = append(want.blocks, b)
	case 1:
		c := raw(fmt.Sprint("pin ", rng.IntN(3))).CID
		until := noon.Add(time.Duration(rng.IntN(100)) * time.Hour)
		require.NoError(t, s.Pin(c, until))
		if until.After(want.pins[c]) {
			want.pins[c] = until
		}
	case 2:
		w := s.newBatch()
		for range 1 + rng.IntN(40) {
			require.NoError(t, w.put(raw(fmt.Sprint("nobody's ", rng.Uint64()))))
		}
		kept := raw(fmt.Sprint("kept ", rng.Uint64()))
		require.NoError(t, w.put(kept))
		require.NoError(t, w.flush())
		w.close()
		for _, b := range append(want.blocks, kept) { // so that they may be asked for afterwards
			until := noon.Add(200 * time.Hour)
			require.NoError(t, s.Pin(b.CID, until))
			want.pins[b.CID] = until
		}
		for _, root := range want.complete {
			until := noon.Add(200 * time.Hour)
			require.NoError(t, s.Pin(root, until))
			want.pins[root] = until
		}
		want.blocks = append(want.blocks, kept)
		_, err := s.Collect(t.Context(), noon)
		require.NoError(t, err)
		maps.DeleteFunc(want.pins, func(_ cid.Cid, until time.Time) bool { return !until.After(noon) })
	case 3:
		blocks := wideDAG(t, rng)
		r, err := NewReceiver(t.Context(), s, blocks[0].CID, Limits{})
		require.NoError(t, err)
		n := len(blocks)
		if rng.IntN(2) == 0 {
			n = rng.IntN(n)
		}
		for _, b := range blocks[:n] {
			require.NoError(t, r.Accept(b.Data))
		}
		if r.Complete() {
			want.complete = append(want.complete, blocks[0].CID)
		}
		if rng.IntN(2) == 0 { // else the power goes off with the receiver open
			require.NoError(t, r.Close())
			want.blocks = append(want.blocks, blocks[:n]...)
		} else {
			t.Cleanup(func() { _ = r.Close() })
		}
	}
}

// wideDAG is a folder of up to 200 files, in transfer order.
func wideDAG(t *testing.T, rng *rand.Rand) []Block {
	t.Helper()
	out := []Block{{}}
	var links []Block
	for i := range 1 + rng.IntN(200) {
		links = append(links, raw(fmt.Sprint(i, rng.Uint64())))
	}
	entries := make([]string, len(links))
	for i := range links {
		entries[i] = fmt.Sprintf("%04d", i)
	}
	out[0] = folderOf(t, entries, links)
	return append(out, links...)
}

func inspect(t *testing.T, s *Space, want promised) {
	t.Helper()
	for _, b := range want.blocks {
		got, err := s.Get(t.Context(), b.CID)
		require.NoError(t, err)
		require.Equal(t, b, got)
	}
	for _, root := range want.complete {
		drain(t, s, root, 0)
	}
	for c, until := range want.pins {
		got, ok := s.Pinned(c)
		require.True(t, ok)
		require.True(t, got.Equal(until), "pinned until %s, promised %s", got, until)
	}
	for c := range s.places.all() {
		_, err := s.Get(t.Context(), c)
		require.NoError(t, err, "a block that has a place is whole")
	}
}
