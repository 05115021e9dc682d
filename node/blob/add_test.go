package blob

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// lay writes files (and, for names that end in a slash, folders) under a new folder.
func lay(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "laid")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if strings.HasSuffix(name, "/") {
			require.NoError(t, os.MkdirAll(path, 0o755))
			continue
		}
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

func add(t testing.TB, s *Space, path string) cid.Cid {
	t.Helper()
	c, _, err := AddPath(t.Context(), s, path, nil)
	require.NoError(t, err)
	return c
}

// What kubo's `ipfs add --cid-version=1` gives; "hello" and the listing are
// from the fixtures of kubo's own tests (t0114-gateway-subdomains, made with
// kubo 0.18.1), "hello world" from its test/cli/add_test.go.
func TestKnownCIDs(t *testing.T) {
	s := memSpace(t, Options{})
	for content, want := range map[string]string{
		"":            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
		"hello\n":     "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am",
		"hello world": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
	} {
		dir := lay(t, map[string]string{"f": content})
		require.Equal(t, want, add(t, s, filepath.Join(dir, "f")).String())
	}
	for want, files := range map[string]map[string]string{
		"bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354": {},
		"bafybeiht6dtwk3les7vqm6ibpvz6qpohidvlshsfyr7l5mpysdw2vmbbhe": {
			"hello": "hello\n", "ipfs/ipns/bar": "text-file-content\n",
			"api/file.txt": "I am a txt file\n", "ipfs/file.txt": "I am a txt file\n",
		},
		"bafybeib3ffl2teiqdncv3mkz4r23b5ctrwkzrrhctdbne6iboayxuxk5ui": {"root2/root3/root4/index.html": "hello\n"},
	} {
		dir := lay(t, files)
		require.NoError(t, os.Chmod(dir, 0o700), "modes are not recorded")
		require.Equal(t, want, add(t, s, dir).String())
	}
}

// plainFile computes the root of a file with nothing but SHA-256 and the
// protobuf wire format, level by level from the leaves up.
func plainFile(content []byte) cid.Cid {
	type piece struct {
		c           cid.Cid
		size, tsize uint64
	}
	var level []piece
	for rest := content; len(rest) > 0 || len(level) == 0; {
		n := min(len(rest), 262_144)
		level = append(level, piece{blockOf(cid.Raw, rest[:n]).CID, uint64(n), uint64(n)})
		rest = rest[n:]
	}
	for len(level) > 1 {
		var up []piece
		for len(level) > 0 {
			group := level[:min(len(level), 174)]
			level = level[len(group):]
			var links, sizes []byte
			var p piece
			for _, child := range group {
				l := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), child.c.Bytes())
				l = protowire.AppendString(protowire.AppendTag(l, 2, protowire.BytesType), "")
				l = protowire.AppendVarint(protowire.AppendTag(l, 3, protowire.VarintType), child.tsize)
				links = protowire.AppendBytes(protowire.AppendTag(links, 2, protowire.BytesType), l)
				sizes = protowire.AppendVarint(protowire.AppendTag(sizes, 4, protowire.VarintType), child.size)
				p.size += child.size
				p.tsize += child.tsize
			}
			data := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 2)
			data = protowire.AppendVarint(protowire.AppendTag(data, 3, protowire.VarintType), p.size)
			block := blockOf(cid.DagProtobuf, protowire.AppendBytes(protowire.AppendTag(links, 1, protowire.BytesType), append(data, sizes...)))
			p.c = block.CID
			p.tsize += uint64(len(block.Data))
			up = append(up, p)
		}
		level = up
	}
	return level[0].c
}

func TestFilesAreCutAndLaidOutAsKuboDoes(t *testing.T) {
	s := memSpace(t, Options{})
	path := filepath.Join(t.TempDir(), "f")
	rng := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{
		1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize,
		FileLinks * ChunkSize, FileLinks*ChunkSize + 1, (2*FileLinks + 3) * ChunkSize,
	} {
		content := make([]byte, size)
		_, _ = rng.Read(content) // never fails
		require.NoError(t, os.WriteFile(path, content, 0o600))
		c, n, err := AddPath(t.Context(), s, path, nil)
		require.NoError(t, err)
		require.Equal(t, plainFile(content), c, "%d bytes", size)
		require.EqualValues(t, size, n)
		if size == (2*FileLinks+3)*ChunkSize {
			require.Len(t, drain(t, s, c, 0), 1+3+2*FileLinks+3, "two levels above the leaves")
		}
		_, err = s.Collect(t.Context(), noon.Add(48*time.Hour))
		require.NoError(t, err)
		require.Zero(t, s.Size())
	}
}

func TestAddReportsProgressAndPins(t *testing.T) {
	s := memSpace(t, Options{})
	dir := lay(t, map[string]string{"a": strings.Repeat("a", 3*ChunkSize), "b/c": "c", ".hidden": "h"})
	var last, total int64
	c, size, err := AddPath(t.Context(), s, dir, func(done, all int64) {
		require.GreaterOrEqual(t, done, last)
		last, total = done, all
	})
	require.NoError(t, err)
	require.EqualValues(t, 3*ChunkSize+2, size)
	require.Equal(t, []int64{size, size}, []int64{last, total})
	until, ok := s.Pinned(c)
	require.True(t, ok)
	require.True(t, until.Equal(noon.Add(24*time.Hour)))
	require.Empty(t, s.guards)
}

func TestAddRefuses(t *testing.T) {
	cases := map[string]struct {
		make func(t *testing.T, dir string)
		says string
		want error
	}{
		"a link": {says: "sub/odd is a symbolic link", make: func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "sub/odd")))
		}},
		"a dangling link": {says: "odd is a symbolic link", make: func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "odd")))
		}},
		"a pipe": {says: "odd is a named pipe", make: func(t *testing.T, dir string) {
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "odd"), 0o600))
		}},
		"a socket": {says: "odd is a socket", make: func(t *testing.T, dir string) {
			t.Chdir(dir) // a socket's path is at most 108 bytes
			l, err := net.Listen("unix", "odd")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, l.Close()) })
		}},
		"a name that is not UTF-8": {says: "not UTF-8", make: func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "\xff"), nil, 0o600))
		}},
		"too many entries": {says: "more than 1024 entries", make: func(t *testing.T, dir string) {
			for i := range MaxLinks {
				require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600))
			}
		}},
		"names too long together": {says: "the names in folder", make: func(t *testing.T, dir string) {
			for i := range MaxLinks - 1 {
				require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%0255d", i)), nil, 0o600))
			}
		}},
		"too deep": {says: "folders deep", make: func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", maxFolders)), 0o700))
		}},
		"too large": {want: ErrTooLarge, says: "more than 1000000 bytes", make: func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), nil, 0o600))
			require.NoError(t, os.Truncate(filepath.Join(dir, "big"), 1<<40))
		}},
		"no space": {want: ErrQuota, says: "full", make: func(t *testing.T, dir string) {
			b := make([]byte, 600_000)
			_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
			require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), b, 0o600))
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := memSpace(t, Options{SpaceQuota: 500_000, MaxContent: 1_000_000})
			dir := lay(t, map[string]string{"sub/": ""})
			c.make(t, dir)
			_, _, err := AddPath(t.Context(), s, dir, nil)
			if c.want == nil {
				c.want = ErrRefused
			}
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
			require.Empty(t, s.pins)
			require.Empty(t, s.guards)
			_, err = s.Collect(t.Context(), noon)
			require.NoError(t, err)
			require.Zero(t, s.Size())
		})
	}
}

func TestAddOneOddPath(t *testing.T) {
	s := memSpace(t, Options{})
	dir := lay(t, map[string]string{"f": "x"})
	require.NoError(t, os.Symlink("f", filepath.Join(dir, "link")))
	_, _, err := AddPath(t.Context(), s, filepath.Join(dir, "link"), nil)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, filepath.Join(dir, "link"))
	_, _, err = AddPath(t.Context(), s, "/dev/null", nil)
	require.ErrorIs(t, err, ErrRefused)
	_, _, err = AddPath(t.Context(), s, filepath.Join(dir, "none"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = AddPath(ctx, s, dir, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// A file that grows while it is read is not stored under a CID of half of it.
func TestAddAChangingFile(t *testing.T) {
	s := memSpace(t, Options{})
	dir := lay(t, map[string]string{"f": strings.Repeat("x", 2*ChunkSize)})
	grown := false
	_, _, err := AddPath(t.Context(), s, dir, func(int64, int64) {
		if !grown {
			grown = true
			require.NoError(t, os.Truncate(filepath.Join(dir, "f"), 3*ChunkSize))
		}
	})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "changed while it was read")
}
