package blob

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
)

func seeds(f *testing.F) {
	leaf := raw("leaf")
	f.Add([]byte{})
	f.Add(leaf.Data)
	f.Add(folder(f).Data)
	f.Add(folder(f, link("a", leaf.CID), link("..", leaf.CID), link("a", leaf.CID)).Data)
	f.Add(node(f, fileData(f, 4, nil, 4), link("", leaf.CID)).Data)
	f.Add(node(f, fileData(f, 1<<40, []byte("in"), 1<<63, 7), link("", leaf.CID)).Data)
	hamt, err := unixfs.HAMTShardData([]byte{1}, 256, 0x22)
	require.NoError(f, err)
	f.Add(node(f, hamt).Data)
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
}

// FuzzNode decodes any bytes as a block of a DAG and as a part of a tree.
func FuzzNode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Bound(t)
		if len(data) > MaxBlock {
			return
		}
		b := blockOf(cid.DagProtobuf, data)
		links, err := linksOf(b.CID, data)
		if err == nil {
			require.LessOrEqual(t, len(links), MaxLinks)
			for _, l := range links {
				require.NoError(t, CheckCID(l.Cid))
			}
		}
		p, err := parse(b.CID, data)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		names := map[string]bool{}
		for _, l := range p.links {
			if p.dir {
				require.True(t, filepath.IsLocal(l.Name) && filepath.Base(l.Name) == l.Name, "%q", l.Name)
				require.False(t, names[l.Name])
				names[l.Name] = true
			}
		}
	})
}

// FuzzExport lets any bytes be the root of an export, beside a leaf that it may name.
func FuzzExport(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Bound(t)
		if len(data) > MaxBlock {
			return
		}
		s := memSpace(t, Options{})
		root := blockOf(cid.DagProtobuf, data)
		put(t, s, root, raw("leaf"), folder(t))
		parent := t.TempDir()
		dst := filepath.Join(parent, "dst")
		err := s.Export(t.Context(), root.CID, dst, 1000)
		left, listErr := os.ReadDir(parent)
		require.NoError(t, listErr)
		if err != nil {
			require.Empty(t, left)
			return
		}
		require.Len(t, left, 1)
		require.NoError(t, filepath.WalkDir(dst, func(_ string, d fs.DirEntry, err error) error {
			require.Zero(t, d.Type()&^fs.ModeDir)
			return err
		}))
	})
}
