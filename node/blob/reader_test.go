package blob

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	protocol "souk/protocol/blob"
)

// sent is what a source gives, up to its error.
func sent(t *testing.T, s *Space, root cid.Cid) (blocks [][]byte, err error) {
	t.Helper()
	for b, err := range s.Source(t.Context(), root, 0, Limits{}) {
		if err != nil {
			return blocks, err
		}
		blocks = append(blocks, bytes.Clone(b)) // a source uses its memory again
	}
	return blocks, nil
}

func TestASourceGivesWhatAWalkDoes(t *testing.T) {
	s := memSpace(t, Options{PackBytes: 1}) // a pack for each block
	root, want := repeating(t, s)
	got, err := sent(t, s, root)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i, b := range want {
		require.Equal(t, b.Data, got[i])
	}
}

// What a disk did to a block is never sent, and the block is fetched again.
func TestDamageIsNotSent(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[3] ^= 1; return b },
		"cut short":     func(b []byte) []byte { return b[:2] },
		"empty":         func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := memSpace(t, Options{})
			a := raw("precious")
			top := folder(t, link("a", a.CID))
			put(t, s, a, top)
			rewrite(t, s, a.CID, change)
			got, err := sent(t, s, top.CID)
			require.ErrorIs(t, err, protocol.ErrMissing)
			require.Equal(t, [][]byte{top.Data}, got)
			require.False(t, s.Has(a.CID))
		})
	}
}

// Packs of the form that had no checksums are read and sent all the same.
func TestAPackWithoutChecksumsIsRead(t *testing.T) {
	fs := vfs.NewMem()
	s := memSpace(t, Options{FS: fs})
	a := raw("of old")
	top := folder(t, link("a", a.CID))
	put(t, s, a, top)
	for _, b := range []Block{a, top} {
		rewrite(t, s, b.CID, func([]byte) []byte {
			index := binary.BigEndian.AppendUint32(b.CID.Bytes(), uint32(len(b.Data)))
			index = binary.BigEndian.AppendUint32(index, 1)
			index = binary.BigEndian.AppendUint32(index, crc32.Checksum(index, castagnoli))
			return append(append(bytes.Clone(b.Data), index...), bareMagic...)
		})
	}
	got, err := sent(t, memSpace(t, Options{FS: fs}), top.CID)
	require.NoError(t, err)
	require.Equal(t, [][]byte{top.Data, a.Data}, got)
}
