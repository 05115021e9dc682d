package blob

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
)

func TestCollectKeepsWhatAPinReaches(t *testing.T) {
	s := memSpace(t, Options{})
	leaf, shared, other := raw("leaf"), raw("shared"), raw("other")
	kept := folder(t, link("a", leaf.CID), link("b", shared.CID), link("missing", raw("never came").CID))
	gone := folder(t, link("a", other.CID), link("b", shared.CID))
	put(t, s, leaf, shared, other, kept, gone)
	require.NoError(t, s.Pin(kept.CID, noon.Add(time.Hour)))

	freed, err := s.Collect(t.Context(), noon)
	require.NoError(t, err)
	require.EqualValues(t, 2*4096, freed)
	for _, b := range []Block{leaf, shared, kept} {
		require.True(t, s.Has(b.CID))
	}
	for _, b := range []Block{other, gone} {
		require.False(t, s.Has(b.CID))
	}

	_, err = s.Collect(t.Context(), noon.Add(time.Hour))
	require.NoError(t, err)
	require.Zero(t, s.Size(), "the pin is over")
}

func TestPinsLastAndNeverShrink(t *testing.T) {
	fs := vfs.NewMem()
	s := memSpace(t, Options{FS: fs})
	root := raw("root").CID
	for _, hours := range []int{1, 3, 2} {
		require.NoError(t, s.Pin(root, noon.Add(time.Duration(hours)*time.Hour)))
	}
	s = memSpace(t, Options{FS: fs})
	until, ok := s.Pinned(root)
	require.True(t, ok)
	require.True(t, until.Equal(noon.Add(3*time.Hour)), "%s", until)

	require.NoError(t, s.Unpin(root))
	require.NoError(t, s.Unpin(root))
	s = memSpace(t, Options{FS: fs})
	_, ok = s.Pinned(root)
	require.False(t, ok)
	require.ErrorIs(t, s.Pin(cid.Undef, noon), ErrInvalid)
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	fs := vfs.NewMem()
	memSpace(t, Options{FS: fs})
	for _, name := range []string{"store/local/pins/README", "store/local/pins/" + raw("x").CID.String(), "store/local/packs/README"} {
		f, err := fs.Create(name, diskWrites)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	s := memSpace(t, Options{FS: fs})
	require.Empty(t, s.pins)
	_, err := s.Collect(t.Context(), noon)
	require.NoError(t, err)
	_, err = fs.Stat("store/local/packs/README")
	require.NoError(t, err)
}

// Who pins one root again and again waits for the disk once a minute.
func TestPinsInAMinuteAreOne(t *testing.T) {
	s := memSpace(t, Options{FS: vfs.NewMem()})
	root := raw("root").CID
	for i := range 60 {
		require.NoError(t, s.Pin(root, noon.Add(time.Hour+time.Duration(i+1)*time.Second)))
		until, _ := s.Pinned(root)
		require.True(t, until.Equal(noon.Add(time.Hour+time.Minute)), "%s", until)
	}
	require.NoError(t, s.Pin(root, noon.Add(time.Hour+61*time.Second)))
	until, _ := s.Pinned(root)
	require.True(t, until.Equal(noon.Add(time.Hour+2*time.Minute)), "%s", until)
}

// Of blocks that came together some are needed and some not: their disk is
// given back once a quarter of it is for nothing, and no block is lost by that.
func TestCollectMakesPacksAnew(t *testing.T) {
	for name, c := range map[string]struct{ kept, gone int }{
		"a fifth for nothing":   {8, 2},
		"a quarter for nothing": {6, 2},
		"most for nothing":      {1, 9},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := memSpace(t, Options{FS: fs})
			w := s.newBatch()
			var kept, gone []Block
			for i := range c.kept + c.gone {
				b := raw(fmt.Sprintf("block %04d", i))
				require.NoError(t, w.put(b))
				if i%2 == 1 && len(gone) < c.gone || i/2 >= c.kept {
					gone = append(gone, b)
				} else {
					kept = append(kept, b)
				}
			}
			require.NoError(t, w.flush())
			w.close()
			for _, b := range kept {
				require.NoError(t, s.Pin(b.CID, noon.Add(time.Hour)))
			}
			freed, err := s.Collect(t.Context(), noon)
			require.NoError(t, err)
			want := int64(len(gone)) * 4096
			if len(gone)*wasteShare < len(kept)+len(gone) {
				want = 0
			}
			require.Equal(t, want, freed)
			for _, s := range []*Space{s, memSpace(t, Options{FS: fs})} {
				require.EqualValues(t, int64(len(kept)+len(gone))*4096-want, s.Size())
				for _, b := range kept {
					got, err := s.Get(t.Context(), b.CID)
					require.NoError(t, err)
					require.Equal(t, b, got)
				}
				for _, b := range gone {
					require.Equal(t, want == 0, s.Has(b.CID))
				}
				names, err := fs.List(s.packed)
				require.NoError(t, err)
				require.Len(t, names, 1)
			}
		})
	}
}

// Reading goes on while a collection moves what is read.
func TestReadingDuringCollections(t *testing.T) {
	s := memSpace(t, Options{FS: vfs.NewMem()})
	kept := raw("kept")
	require.NoError(t, s.Pin(kept.CID, noon.Add(time.Hour)))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	put(t, s, kept)
	wg.Go(func() {
		for {
			if _, err := s.Get(t.Context(), kept.CID); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range 200 {
		s.mu.Lock()
		at, _ := s.places.get(kept.CID)
		require.NoError(t, s.move([]cid.Cid{kept.CID}))
		require.NoError(t, s.removePack(at.pack))
		s.mu.Unlock()
	}
}

// A collection in the middle of a transfer takes nothing from it, neither
// blocks that came nor blocks that were there before.
func TestCollectDuringATransfer(t *testing.T) {
	s := memSpace(t, Options{})
	early, late := raw("early"), raw("late")
	root := folder(t, link("a", early.CID), link("b", late.CID))
	put(t, s, root, early)
	r, err := NewReceiver(t.Context(), s, root.CID, Limits{})
	require.NoError(t, err)
	require.Equal(t, 2, r.Skip())
	_, err = s.Collect(t.Context(), noon)
	require.NoError(t, err)
	require.NoError(t, r.Accept(late.Data))
	require.True(t, r.Complete())
	_, err = s.Collect(t.Context(), noon)
	require.NoError(t, err)
	require.Len(t, drain(t, s, root.CID, 0), 3)

	require.NoError(t, r.Close())
	_, err = s.Collect(t.Context(), noon)
	require.NoError(t, err)
	require.Zero(t, s.Size(), "nothing pinned it")
}
