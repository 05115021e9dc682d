package blob

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"
)

func TestPutGet(t *testing.T) {
	s := memSpace(t, Options{})
	b := raw("hello\n")
	require.False(t, s.Has(b.CID))
	_, err := s.Get(t.Context(), b.CID)
	require.ErrorIs(t, err, ErrNotFound)

	put(t, s, b, b)
	require.True(t, s.Has(b.CID))
	got, err := s.Get(t.Context(), b.CID)
	require.NoError(t, err)
	require.Equal(t, b, got)
	require.EqualValues(t, 4096, s.Size(), "a block counts once, and at least one file system block")
}

func TestPutRefusesWhatIsNotTheBlock(t *testing.T) {
	s := memSpace(t, Options{})
	b := raw("right")
	b.Data = []byte("wrong")
	require.ErrorIs(t, s.Put(t.Context(), b), ErrInvalid)
	require.ErrorIs(t, s.Put(t.Context(), blockOf(cid.Raw, make([]byte, MaxBlock+1))), ErrInvalid)
	put(t, s, blockOf(cid.Raw, make([]byte, MaxBlock)))

	sha1, err := multihash.Sum([]byte("x"), multihash.SHA1, -1)
	require.NoError(t, err)
	identity, err := multihash.Sum([]byte("x"), multihash.IDENTITY, -1)
	require.NoError(t, err)
	for _, c := range []cid.Cid{
		cid.Undef, cid.NewCidV0(raw("x").CID.Hash()), cid.NewCidV1(cid.DagCBOR, raw("x").CID.Hash()),
		cid.NewCidV1(cid.Raw, sha1), cid.NewCidV1(cid.Raw, identity),
	} {
		require.ErrorIs(t, s.Put(t.Context(), Block{CID: c, Data: []byte("x")}), ErrInvalid, c)
		_, err := s.Get(t.Context(), c)
		require.ErrorIs(t, err, ErrInvalid, c)
		require.False(t, s.Has(c))
	}
}

func TestSpacesAreApart(t *testing.T) {
	store := memStore(t, Options{})
	alice, bob := space(t, store, "alice"), space(t, store, "bob")
	b := raw("alice's input")
	put(t, alice, b)
	_, err := bob.Get(t.Context(), b.CID)
	require.ErrorIs(t, err, ErrNotFound, "knowing a CID gives nothing")
	require.False(t, bob.Has(b.CID))

	for _, name := range []string{"", ".", "..", "a/b", "a\x00", "../alice", string(bytes.Repeat([]byte("a"), 129))} {
		_, err := store.Space(name)
		require.Error(t, err, name)
	}
}

func TestStoreIsFoundAgain(t *testing.T) {
	fs := vfs.NewMem()
	store := memStore(t, Options{FS: fs})
	put(t, space(t, store, "alice"), raw("one"), raw("two"))
	leftover, err := fs.Create("store/alice/tmp/77", diskWrites)
	require.NoError(t, err)
	require.NoError(t, leftover.Close())

	again := memStore(t, Options{FS: fs})
	require.EqualValues(t, 8192, again.Size())
	require.True(t, space(t, again, "alice").Has(raw("two").CID))
	left, err := fs.List("store/alice/tmp")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestQuota(t *testing.T) {
	store := memStore(t, Options{SpaceQuota: 3 * 4096, TotalQuota: 4 * 4096})
	alice, bob := space(t, store, "alice"), space(t, store, "bob")
	put(t, alice, raw("1"), raw("2"), raw("3"))
	require.ErrorIs(t, alice.Put(t.Context(), raw("4")), ErrQuota)
	put(t, alice, raw("3"))
	put(t, bob, raw("1"))
	require.ErrorIs(t, bob.Put(t.Context(), raw("2")), ErrQuota, "the total is full")
	require.EqualValues(t, 3*4096, alice.Size())
	require.EqualValues(t, 4096, bob.Size(), "a refused block is not counted")

	freed, err := store.Collect(t.Context(), noon)
	require.NoError(t, err)
	require.EqualValues(t, 4*4096, freed)
	require.Zero(t, store.Size())
	put(t, alice, raw("4"))
}

func TestDamageIsSeenAndDropped(t *testing.T) {
	damage := map[string]func([]byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[3] ^= 1; return b },
		"cut short":     func(b []byte) []byte { return b[:2] },
		"empty":         func([]byte) []byte { return nil },
		"shifted":       func(b []byte) []byte { return append([]byte{0}, b...) },
	}
	for name, damage := range damage {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := memSpace(t, Options{FS: fs})
			b := raw("precious")
			put(t, s, b)
			rewrite(t, s, b.CID, damage)

			_, err := s.Get(t.Context(), b.CID)
			require.ErrorIs(t, err, ErrCorrupt)
			_, err = s.Get(t.Context(), b.CID)
			require.ErrorIs(t, err, ErrNotFound)
			require.Zero(t, s.Size())
			put(t, s, b)
			_, err = s.Get(t.Context(), b.CID)
			require.NoError(t, err)

			again := memSpace(t, Options{FS: fs})
			_, err = again.Get(t.Context(), b.CID)
			require.NoError(t, err, "after a restart the whole one counts")
			require.EqualValues(t, 4096, again.Size())
		})
	}
}

// Every write, sync and rename fails once: the block is refused, nothing stays
// counted, and the same Put succeeds when the disk works again.
func TestDiskErrors(t *testing.T) {
	for at := int32(0); ; at++ {
		fault := errorfs.OnIndex(at)
		var on atomic.Bool
		disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !on.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			return fault.MaybeError(op)
		}))
		s := memSpace(t, Options{FS: disk})
		on.Store(true)
		b := raw("stubborn")
		err := s.Put(t.Context(), b)
		on.Store(false)
		if err == nil {
			require.Greater(t, at, int32(3), "create, write, sync and rename must have failed before")
			return
		}
		require.ErrorIs(t, err, errorfs.ErrInjected)
		put(t, s, b)
		require.EqualValues(t, 4096, s.Size(), "failure %d stays counted", at)
	}
}

func TestConcurrentPutsCountOnce(t *testing.T) {
	s := memSpace(t, Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				if err := s.Put(t.Context(), raw(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 20*4096, s.Size())
	require.Empty(t, s.guards)
}

// A pack whose index can't be trusted gives nothing, and its disk is free again.
func TestADamagedIndexIsNotBelieved(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"a flipped bit in a CID":    func(b []byte) []byte { b[len(b)-trailerSize-10] ^= 1; return b },
		"a flipped bit in a size":   func(b []byte) []byte { b[len(b)-trailerSize-5] ^= 1; return b },
		"a flipped bit in a sum":    func(b []byte) []byte { b[len(b)-trailerSize-1] ^= 1; return b },
		"a flipped bit in a number": func(b []byte) []byte { b[len(b)-trailerSize+3] ^= 1; return b },
		"another magic":             func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"cut short":                 func(b []byte) []byte { return b[:len(b)-1] },
		"empty":                     func([]byte) []byte { return nil },
		"blocks that are missing":   func(b []byte) []byte { return b[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := memSpace(t, Options{FS: fs})
			put(t, s, raw("whole"), raw("damaged"))
			rewrite(t, s, raw("damaged").CID, change)
			again := memSpace(t, Options{FS: fs})
			require.True(t, again.Has(raw("whole").CID))
			require.False(t, again.Has(raw("damaged").CID))
			require.EqualValues(t, 4096, again.Size())
			names, err := fs.List(again.packed)
			require.NoError(t, err)
			require.Len(t, names, 1)
			put(t, again, raw("damaged"))
			require.True(t, memSpace(t, Options{FS: fs}).Has(raw("damaged").CID))
		})
	}
}

func TestRealDisk(t *testing.T) {
	store, err := Open(t.TempDir(), Options{})
	require.NoError(t, err)
	s := space(t, store, Local)
	put(t, s, raw("durable"))
	got, err := s.Get(t.Context(), raw("durable").CID)
	require.NoError(t, err)
	require.Equal(t, "durable", string(got.Data))
}
