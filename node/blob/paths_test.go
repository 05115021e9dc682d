package blob

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ipfs/boxo/ipld/unixfs"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"
)

// hostileNames are what a peer may call an entry, to get out of a folder, into
// another's file, or past somebody's eyes.
var hostileNames = []string{
	"", ".", "..", "../canary", "../../canary", "/canary", "/etc/passwd", "a/b", "a/../../canary", "./canary", "canary/", "x\x00y", "\xff\xfe",
	strings.Repeat("n", maxName+1), `..\canary`, "canary", "dst", "é", "a\nb", "-rf", " ", "...", "con", "~",
}

// safeNames can be written as they are: they lead nowhere else.
var safeNames = map[string]bool{
	`..\canary`: true, "canary": true, "dst": true, "é": true, "a\nb": true, "-rf": true, " ": true, "...": true, "con": true, "~": true,
}

// entryKinds are what a name may stand for.
func entryKinds(t *testing.T) map[string]Block {
	symlink, err := unixfs.SymlinkData("../canary")
	require.NoError(t, err)
	hamt, err := unixfs.HAMTShardData([]byte{1}, 256, 0x22)
	require.NoError(t, err)
	return map[string]Block{
		"file": raw("hostile"), "empty file": raw(""), "folder": folder(t), "link": node(t, symlink), "sharded folder": node(t, hamt),
		"no UnixFS": node(t, []byte{0xff, 0xff}),
	}
}

// safeKinds are files and folders.
var safeKinds = map[string]bool{"file": true, "empty file": true, "folder": true}

// Each name for each kind of entry, at the top and below, alone and twice: an
// export either writes plain files and folders under those names, or nothing,
// and around its destination never anything.
func TestExportsOfEveryKindStayInside(t *testing.T) {
	cases := 0
	for _, name := range hostileNames {
		for kind, b := range entryKinds(t) {
			for depth := range 3 {
				for _, times := range []int{1, 2} {
					cases++
					what := fmt.Sprintf("%s %.40q, %d deep, %d times", kind, name, depth, times)
					ok := exportedInside(t, what, name, b, depth, times)
					require.Equal(t, safeNames[name] && safeKinds[kind] && times == 1, ok, what)
				}
			}
		}
	}
	require.GreaterOrEqual(t, cases, 800)
}

// exportedInside exports a tree with one hostile entry beside a good one.
func exportedInside(t *testing.T, what, name string, b Block, depth, times int) bool {
	s, good := memSpace(t, Options{}), raw("good")
	put(t, s, b, good)
	links := []*ipld.Link{link("good", good.CID)}
	for range times {
		links = append(links, link(name, b.CID))
	}
	top := folder(t, links...)
	put(t, s, top)
	for range depth {
		top = folder(t, link("d", top.CID))
		put(t, s, top)
	}
	parent := t.TempDir()
	canary := filepath.Join(parent, "canary")
	require.NoError(t, os.WriteFile(canary, []byte("alive"), 0o600))
	dst := filepath.Join(parent, "dst")
	err := s.Export(t.Context(), top.CID, dst, 1000)
	alive, readErr := os.ReadFile(canary)
	require.NoError(t, readErr, what)
	require.Equal(t, "alive", string(alive), what)
	around, readErr := os.ReadDir(parent)
	require.NoError(t, readErr)
	if err != nil {
		require.ErrorIs(t, err, ErrInvalid, what)
		require.Len(t, around, 1, "%s: nothing is left", what)
		return false
	}
	require.Len(t, around, 2, what)
	inner := filepath.Join(dst, strings.Repeat("d/", depth))
	written, readErr := os.ReadDir(inner)
	require.NoError(t, readErr, what)
	require.Len(t, written, 2, what)
	for _, d := range written {
		require.Zero(t, d.Type()&^fs.ModeDir, what)
		require.Contains(t, []string{"good", name}, d.Name(), what)
	}
	return true
}

// what a job may leave in its outputs, or a user name as an input.
var oddFiles = map[string]func(at, victim string) error{
	"link to a file":   func(at, victim string) error { return os.Symlink(victim, at) },
	"link to a folder": func(at, victim string) error { return os.Symlink(filepath.Dir(victim), at) },
	"dangling link":    func(at, _ string) error { return os.Symlink("/no/such", at) },
	"link to itself":   func(at, _ string) error { return os.Symlink(filepath.Base(at), at) },
	"link upwards":     func(at, _ string) error { return os.Symlink("..", at) },
	"pipe":             func(at, _ string) error { return syscall.Mkfifo(at, 0o666) },
}

// No block of what lies outside gets into the store, however it is reached.
func TestWhatIsAddedStaysInside(t *testing.T) {
	for name, make := range oddFiles {
		for depth := range 4 {
			base := t.TempDir()
			victim := filepath.Join(base, "outside", "victim")
			require.NoError(t, os.MkdirAll(filepath.Dir(victim), 0o755))
			require.NoError(t, os.WriteFile(victim, []byte("secret"), 0o600))
			laid := filepath.Join(base, "laid")
			at := filepath.Join(laid, strings.Repeat("d/", depth))
			require.NoError(t, os.MkdirAll(at, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(at, "result"), []byte("fine"), 0o600))
			require.NoError(t, make(filepath.Join(at, "odd"), victim), name)
			s := memSpace(t, Options{})
			_, _, err := AddPath(t.Context(), s, laid, nil)
			require.ErrorIs(t, err, ErrRefused, "%s at depth %d", name, depth)
			_, err = s.Get(t.Context(), raw("secret").CID)
			require.ErrorIs(t, err, ErrNotFound)
		}
	}
}
