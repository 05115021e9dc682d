package blob

import (
	"crypto/sha256"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/pb"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/executor"
)

var _ executor.Source = (*Store)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when tests without a clock of their own happen.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

func memStore(t testing.TB, o Options) *Store {
	t.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	o.Now = atNoon
	s, err := Open("store", o)
	require.NoError(t, err)
	return s
}

func memSpace(t testing.TB, o Options) *Space {
	t.Helper()
	return space(t, memStore(t, o), Local)
}

func space(t testing.TB, s *Store, name string) *Space {
	t.Helper()
	sp, err := s.Space(name)
	require.NoError(t, err)
	return sp
}

func blockOf(codec uint64, data []byte) Block {
	sum := sha256.Sum256(data)
	mh, err := multihash.Encode(sum[:], multihash.SHA2_256)
	if err != nil {
		panic(err)
	}
	return Block{CID: cid.NewCidV1(codec, mh), Data: data}
}

func raw(s string) Block { return blockOf(cid.Raw, []byte(s)) }

// node is a dag-pb block with the links in the order given, however hostile.
func node(t testing.TB, data []byte, links ...*ipld.Link) Block {
	t.Helper()
	n := merkledag.NodeWithData(data)
	require.NoError(t, n.SetCidBuilder(merkledag.V1CidPrefix()))
	for _, l := range links {
		require.NoError(t, n.AddRawLink(l.Name, l))
	}
	return blockOf(cid.DagProtobuf, n.RawData())
}

func link(name string, c cid.Cid) *ipld.Link { return &ipld.Link{Name: name, Cid: c} }

func folder(t testing.TB, links ...*ipld.Link) Block {
	t.Helper()
	return node(t, unixfs.FolderPBData(), links...)
}

// fileData is a UnixFS file header that claims what it is told to.
func fileData(t testing.TB, total uint64, inline []byte, sizes ...uint64) []byte {
	t.Helper()
	n := unixfs.NewFSNode(pb.Data_File)
	n.SetData(inline)
	for _, s := range sizes {
		n.AddBlockSize(s)
	}
	n.UpdateFilesize(int64(total) - int64(n.FileSize())) //nolint:gosec // test values are small
	b, err := n.GetBytes()
	require.NoError(t, err)
	return b
}

func put(t testing.TB, s *Space, blocks ...Block) {
	t.Helper()
	for _, b := range blocks {
		require.NoError(t, s.Put(t.Context(), b))
	}
}

// drain is every block of the DAG in transfer order.
func drain(t testing.TB, s *Space, root cid.Cid, skip int) []Block {
	t.Helper()
	var out []Block
	for b, err := range s.Walk(t.Context(), root, skip, Limits{}) {
		require.NoError(t, err)
		out = append(out, b)
	}
	return out
}

func folderOf(t testing.TB, names []string, children []Block) Block {
	t.Helper()
	links := make([]*ipld.Link, len(names))
	for i, name := range names {
		links[i] = link(name, children[i].CID)
	}
	return folder(t, links...)
}

// damage empties the file that a block is in.
func damage(t testing.TB, s *Space, c cid.Cid) { rewrite(t, s, c, func([]byte) []byte { return nil }) }

// rewrite changes the bytes of the file that a block is in.
func rewrite(t testing.TB, s *Space, c cid.Cid, change func([]byte) []byte) {
	t.Helper()
	at, ok := s.places.get(c)
	require.True(t, ok)
	path := s.packPath(at.pack)
	f, err := s.fs().Open(path)
	require.NoError(t, err)
	whole, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f, err = s.fs().Create(path, diskWrites)
	require.NoError(t, err)
	_, err = f.Write(change(whole))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
