package blob

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/pb"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"
)

func TestExportGivesBackWhatWasAdded(t *testing.T) {
	s := memSpace(t, Options{})
	files := map[string]string{
		"empty": "", "empty folder/": "", ".hidden": "h", "a/b/c/d": "deep", "ünï": "utf-8",
		"big": strings.Repeat("0123456789", ChunkSize/4), "zeros": strings.Repeat("\x00", 4*ChunkSize),
	}
	dir := lay(t, files)
	dst := filepath.Join(t.TempDir(), "out")
	root, size, err := AddPath(t.Context(), s, dir, nil)
	require.NoError(t, err)
	require.NoError(t, s.Export(t.Context(), root, dst, size))
	for name, content := range files {
		if strings.HasSuffix(name, "/") {
			require.DirExists(t, filepath.Join(dst, name))
			continue
		}
		got, err := os.ReadFile(filepath.Join(dst, name))
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
	require.Equal(t, root, add(t, s, dst))

	require.ErrorIs(t, s.Export(t.Context(), root, dst, size), fs.ErrExist)
	require.DirExists(t, dst, "what was there before stays")
	less := filepath.Join(t.TempDir(), "less")
	require.ErrorIs(t, s.Export(t.Context(), root, less, size-1), ErrTooLarge)
	require.NoFileExists(t, less)
}

func TestExportOfOneFile(t *testing.T) {
	s := memSpace(t, Options{})
	b := raw("content")
	put(t, s, b)
	dst := filepath.Join(t.TempDir(), "f")
	require.NoError(t, s.Export(t.Context(), b.CID, dst, 7))
	require.ErrorIs(t, s.Export(t.Context(), b.CID, dst, 7), fs.ErrExist)
	got, err := os.ReadFile(dst)
	require.NoError(t, err)
	require.Equal(t, "content", string(got))
	require.ErrorIs(t, s.Export(t.Context(), b.CID, dst+"2", 6), ErrTooLarge)
	require.ErrorIs(t, s.Export(t.Context(), b.CID, dst+"2", -1), ErrTooLarge)
	require.Error(t, s.Export(t.Context(), b.CID, filepath.Join(dst, "..", ".."), 7))
	require.Error(t, s.Export(t.Context(), b.CID, filepath.Join(t.TempDir(), "no", "parent"), 7))

	link := filepath.Join(t.TempDir(), "link")
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.Symlink(victim, link))
	require.ErrorIs(t, s.Export(t.Context(), b.CID, link, 7), fs.ErrExist)
	require.NoFileExists(t, victim)
}

// Other importers put bytes into inner nodes; those files are read as well.
func TestExportOfFilesThatOthersCut(t *testing.T) {
	s := memSpace(t, Options{})
	inline := node(t, fileData(t, 3, []byte("abc")))
	oldLeaf := node(t, unixfs.WrapData([]byte("def")))
	mixed := node(t, fileData(t, 9, []byte("xyz"), 3, 3), link("", inline.CID), link("", oldLeaf.CID))
	put(t, s, inline, oldLeaf, mixed)
	dst := filepath.Join(t.TempDir(), "f")
	require.NoError(t, s.Export(t.Context(), mixed.CID, dst, 9))
	got, err := os.ReadFile(dst)
	require.NoError(t, err)
	require.Equal(t, "xyzabcdef", string(got))
}

func TestExportRefuses(t *testing.T) {
	leaf := raw("leaf")
	symlink, err := unixfs.SymlinkData("/etc/passwd")
	require.NoError(t, err)
	hamt, err := unixfs.HAMTShardData([]byte{1}, 256, 0x22)
	require.NoError(t, err)
	cases := map[string]Block{
		"a symbolic link":           node(t, symlink),
		"a sharded folder":          node(t, hamt, link("00a", leaf.CID)),
		"no UnixFS":                 node(t, []byte{0xff, 0xff}),
		"nothing":                   node(t, nil),
		"a folder in a file":        node(t, fileData(t, 4, nil, 4), link("", folder(t).CID)),
		"sizes for other pieces":    node(t, fileData(t, 8, nil, 4, 4), link("", leaf.CID)),
		"a piece that is longer":    node(t, fileData(t, 3, nil, 3), link("", leaf.CID)),
		"a piece that is shorter":   node(t, fileData(t, 5, nil, 5), link("", leaf.CID)),
		"a total that lies":         node(t, fileData(t, 9, nil, 4), link("", leaf.CID)),
		"a total that overflows":    node(t, fileData(t, 0, nil, 1<<63, 1<<63), link("", leaf.CID), link("", leaf.CID)),
		"pieces without a byte":     node(t, fileData(t, 0, nil, 0), link("", raw("").CID)),
		"two entries with one name": folder(t, link("x", leaf.CID), link("x", leaf.CID)),
	}
	for _, name := range []string{"", ".", "..", "a/b", "/etc", "../up", "a\x00b", "\xff", strings.Repeat("n", 256)} {
		cases[fmt.Sprintf("the name %.9q", name)] = folder(t, link("fine", leaf.CID), link(name, leaf.CID))
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			s := memSpace(t, Options{})
			put(t, s, leaf, folder(t), raw(""), b)
			parent := t.TempDir()
			require.ErrorIs(t, s.Export(t.Context(), b.CID, filepath.Join(parent, "dst"), 1<<40), ErrInvalid)
			left, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// bombs are small DAGs that would be huge on disk, or take for ever.
func TestExportOfBombs(t *testing.T) {
	s := memSpace(t, Options{})
	grow := func(bottom Block, wide, levels int, pack func(below Block, wide int) Block) Block {
		for range levels {
			put(t, s, bottom)
			bottom = pack(bottom, wide)
		}
		put(t, s, bottom)
		return bottom
	}
	folders := func(below Block, wide int) Block {
		links := make([]*ipld.Link, wide)
		for i := range links {
			links[i] = link(fmt.Sprintf("%04d", i), below.CID)
		}
		return folder(t, links...)
	}
	size := uint64(1)
	files := func(below Block, wide int) Block {
		links, sizes := make([]*ipld.Link, wide), make([]uint64, wide)
		for i := range links {
			links[i], sizes[i] = link("", below.CID), size
		}
		size *= uint64(wide)
		return node(t, fileData(t, size, nil, sizes...), links...)
	}
	for name, c := range map[string]struct {
		root Block
		want error
	}{
		"folders without end": {grow(folder(t), 300, 5, folders), ErrInvalid},
		"a petabyte":          {grow(raw("x"), 1000, 5, files), ErrTooLarge},
		"too deep":            {grow(folder(t), 1, MaxDepth, folders), ErrInvalid},
	} {
		dst := filepath.Join(t.TempDir(), "dst")
		require.ErrorIs(t, s.Export(t.Context(), c.root.CID, dst, 1<<34), c.want, name)
		require.NoDirExists(t, dst)
	}
	size = 1
	slow := grow(raw("x"), 1, MaxDepth-1, files)
	require.NoError(t, s.Export(t.Context(), slow.CID, filepath.Join(t.TempDir(), "slow"), 1))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Export(ctx, slow.CID, filepath.Join(t.TempDir(), "x"), 1), context.Canceled)
}

// hostileCases is how many DAGs TestHostileTrees makes up.
const hostileCases = 300

// Whatever a DAG says, an export either gives plain files and folders within
// the limit, or an error and nothing; outside dst nothing ever changes.
func TestHostileTrees(t *testing.T) {
	var refusals int
	for seed := range uint64(hostileCases) {
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			g := &hostile{t: t, rng: rand.New(rand.NewPCG(seed, 2)), s: memSpace(t, Options{})} //nolint:gosec // a test's choices
			root := g.tree(4)
			parent := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(parent, "canary"), []byte("alive"), 0o600))
			limit := int64(g.rng.IntN(2000))
			if g.exported(root, filepath.Join(parent, "dst"), limit) != nil {
				refusals++
				require.NoDirExists(t, filepath.Join(parent, "dst"))
			}
			canary, err := os.ReadFile(filepath.Join(parent, "canary"))
			require.NoError(t, err)
			require.Equal(t, "alive", string(canary))
			_ = os.RemoveAll(filepath.Join(parent, "dst"))
			left, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
		if !ok {
			t.Fatalf("replay with -run 'TestHostileTrees/seed=%d$'", seed)
		}
	}
	require.Greater(t, refusals, hostileCases/4, "the trees are hostile")
	require.Less(t, refusals, hostileCases*9/10, "and some are not")
}

type hostile struct {
	t   *testing.T
	rng *rand.Rand
	s   *Space
}

// exported runs the export and checks everything that it wrote.
func (g *hostile) exported(root cid.Cid, dst string, limit int64) error {
	if err := g.s.Export(g.t.Context(), root, dst, limit); err != nil {
		return err
	}
	var total int64
	require.NoError(g.t, filepath.WalkDir(dst, func(path string, d fs.DirEntry, err error) error {
		require.NoError(g.t, err)
		info, err := d.Info()
		require.NoError(g.t, err)
		require.True(g.t, d.IsDir() || info.Mode().IsRegular(), path)
		if !d.IsDir() {
			total += info.Size()
		}
		return nil
	}))
	require.LessOrEqual(g.t, total, limit)
	return nil
}

// odd is true once in n times.
func (g *hostile) odd(n int) bool { return g.rng.IntN(n) == 0 }

func (g *hostile) keep(b Block) cid.Cid {
	if !g.odd(60) { // else the block is withheld
		put(g.t, g.s, b)
	}
	return b.CID
}

func (g *hostile) name() string {
	bad := []string{"", ".", "..", "../canary", "/canary", "a/b", "x\x00", "\xfe", "dst", "canary", "..\\canary", strings.Repeat("n", 300)}
	if g.odd(25) {
		return bad[g.rng.IntN(len(bad))]
	}
	return fmt.Sprintf("n%d", g.rng.IntN(1000))
}

func (g *hostile) tree(levels int) cid.Cid {
	switch {
	case levels == 0 || g.odd(3):
		return g.file(2)
	case g.odd(30):
		data, err := unixfs.SymlinkData("../canary")
		require.NoError(g.t, err)
		return g.keep(node(g.t, data))
	case g.odd(40):
		return g.keep(node(g.t, []byte{byte(g.rng.IntN(256)), byte(g.rng.IntN(256)), 1}))
	}
	links := make([]*ipld.Link, g.rng.IntN(5))
	for i := range links {
		links[i] = link(g.name(), g.tree(levels-1))
	}
	return g.keep(folder(g.t, links...))
}

func (g *hostile) file(levels int) cid.Cid {
	c, _ := g.piece(levels)
	return c
}

func (g *hostile) piece(levels int) (cid.Cid, uint64) {
	if levels == 0 || g.odd(2) {
		b := raw(strings.Repeat("x", g.rng.IntN(200)))
		return g.keep(b), uint64(len(b.Data))
	}
	n := unixfs.NewFSNode(pb.Data_File)
	links := make([]*ipld.Link, 1+g.rng.IntN(3))
	for i := range links {
		c, size := g.piece(levels - 1)
		if g.odd(30) {
			size = g.rng.Uint64() >> g.rng.IntN(64)
		}
		links[i] = link("", c)
		n.AddBlockSize(size)
	}
	data, err := n.GetBytes()
	require.NoError(g.t, err)
	return g.keep(node(g.t, data, links...)), n.FileSize()
}
