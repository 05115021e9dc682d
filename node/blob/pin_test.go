package blob

import (
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
	for _, name := range []string{"store/local/pins/README", "store/local/pins/" + raw("x").CID.String(), "store/local/blocks/README"} {
		f, err := fs.Create(name, diskWrites)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	s := memSpace(t, Options{FS: fs})
	require.Empty(t, s.pins)
	_, err := s.Collect(t.Context(), noon)
	require.NoError(t, err)
	_, err = fs.Stat("store/local/blocks/README")
	require.NoError(t, err)
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
