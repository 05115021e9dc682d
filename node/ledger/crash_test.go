package ledger_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
)

// scripts/crash sets these.
var (
	images = flag.Int("ledger.images", 1000, "disks as a power loss left them that have to open")
	seeded = flag.Uint64("ledger.seed", 0, "seed of the first story")
)

const (
	imagesPerStory = 4
	storySteps     = 12
	bigStory       = 12 << 10 // bytes of padding, enough to rotate the log and flush twice
)

func isNotFound(err error) bool { return errors.Is(err, ledger.ErrNotFound) }

// image is the disk as a power loss at one moment left it.
type image struct {
	fs       *vfs.MemFS
	at       int64 // the operation that never was
	unsynced int   // percent of what wasn't synced that is there all the same
	acked    marks
}

// camera takes an image of a disk just before each of some operations on it.
type camera struct {
	disk *vfs.MemFS
	s    *story
	at   []int64
	rng  *rand.Rand

	mu    sync.Mutex
	ops   int64
	taken []image
}

func (c *camera) String() string { return "camera" }

func (c *camera) MaybeError(errorfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ops++; slices.Contains(c.at, c.ops) {
		unsynced := c.rng.IntN(3) * 50
		acked := read(&c.s.acked) // before the image: these must be in it
		left := c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: c.rng})
		c.taken = append(c.taken, image{left, c.ops, unsynced, acked})
	}
	return nil
}

// photographed tells a story on a new disk, or only opens and closes it, and
// gives the images that were taken meanwhile.
func photographed(t *testing.T, seed uint64, steps uint64, padding int, at ...int64) (*camera, *story) {
	t.Helper()
	s := &story{padding: padding}
	c := &camera{disk: vfs.NewCrashableMem(), s: s, at: at, rng: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // a test's dice
	l, err := ledger.Open("data/ledger", ledger.Options{FS: errorfs.Wrap(c.disk, c)})
	require.NoError(t, err, "seed %d", seed)
	s.tell(l, steps)
	require.NoError(t, l.Close(), "seed %d", seed)
	return c, s
}

func TestPowerLossLosesNothingAcknowledged(t *testing.T) {
	length := map[int]int64{} // in operations, about, by padding
	for _, padding := range []int{0, bigStory} {
		c, _ := photographed(t, 0, storySteps, padding)
		length[padding] = c.ops
	}
	seed, taken, late := *seeded, 0, 0
	for ; taken < *images; seed++ {
		rng := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test's dice
		padding := 0
		if seed%4 == 0 {
			padding = bigStory
		}
		at := make([]int64, imagesPerStory)
		for i := range at {
			at[i] = 1 + rng.Int64N(length[padding])
		}
		c, s := photographed(t, seed, storySteps, padding, at...)
		for _, im := range c.taken {
			opens(t, seed, im, read(&s.started))
			if im.acked != (marks{}) {
				late++
			}
		}
		taken += len(c.taken)
	}
	t.Logf("%d images of %d stories, %d of them after the first acknowledgement; 0 lost, so under %.2f %% are with 95 %% confidence",
		taken, seed-*seeded, late, 300/float64(taken))
	require.Greater(t, late, taken/4, "too few images were taken in the middle of the story")
}

func opens(t *testing.T, seed uint64, im image, started marks) {
	t.Helper()
	again, err := ledger.Open("data/ledger", ledger.Options{FS: im.fs})
	require.NoError(t, err, "the store doesn't open; -ledger.seed=%d, operation %d, %d %% of what wasn't synced", seed, im.at, im.unsynced)
	check(t, again, im.acked, started)
	require.NoError(t, again.Close())
	if t.Failed() {
		t.Fatalf("-ledger.seed=%d, operation %d, %d %% of what wasn't synced", seed, im.at, im.unsynced)
	}
}

// A power loss at each operation of the very first start, and one more at some
// operation of the start after it: a disk on which nothing was ever promised
// has to open.
func TestPowerLossAtTheFirstStart(t *testing.T) {
	whole, _ := photographed(t, 0, 0, 0)
	require.Greater(t, whole.ops, int64(30))
	again := 0
	for n := int64(1); n <= whole.ops; n++ {
		for seed := range uint64(3) {
			c, s := photographed(t, seed, 0, 0, n)
			for _, im := range c.taken {
				second := &camera{disk: im.fs, s: s, at: []int64{1 + (n*7+int64(seed))%whole.ops}, rng: c.rng} //nolint:gosec // small
				l, err := ledger.Open("data/ledger", ledger.Options{FS: errorfs.Wrap(im.fs, second)})
				require.NoError(t, err, "operation %d, %d %% of what wasn't synced", n, im.unsynced)
				require.NoError(t, l.Close())
				for _, im := range second.taken {
					opens(t, seed, im, marks{})
					again++
				}
			}
		}
	}
	t.Logf("%d operations; %d times a second power loss while it started again", whole.ops, again)
	require.NotZero(t, again)
}
