package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

// hostileNames are what an archive may call an entry, most of them to get out
// of the folder that it is unpacked into.
var hostileNames = []string{
	"../x", "..", ".", "a/../../x", "./../x", "a/./b/../../../x", "/etc/passwd", "//etc/passwd", "/", `..\x`, `C:\x`, "a//b", "x/",
	"c.json", "./c.json", "manifest.json", "a/../manifest.json", "l.tar", strings.Repeat("n", 300), "a\nb", "\xff\xfe", "é",
}

var kinds = map[string]byte{
	"file": tar.TypeReg, "hard link": tar.TypeLink, "link": tar.TypeSymlink, "character device": tar.TypeChar, "block device": tar.TypeBlock,
	"folder": tar.TypeDir, "pipe": tar.TypeFifo, "contiguous file": tar.TypeCont,
}

// archiveCases is how many archives TestArchivesOfEveryKindStayInside makes.
const archiveCases = 22 * 8 * 3

// Each name as each kind of entry, before, between and after an image's own
// entries: refused in a sentence, or what goes to the daemon is clean.
func TestArchivesOfEveryKindStayInside(t *testing.T) {
	layer := layerOf("the layer")
	good := []entry{{name: "l.tar", content: layer}, {name: "c.json", content: configOf(layer)}, {name: "manifest.json", content: manifestOf("l.tar")}}
	const most = 100_000
	refused, taken := 0, 0
	for _, name := range hostileNames {
		for kind, flag := range kinds {
			for at := range 3 {
				bad := entry{name: name, kind: flag, link: "../../etc/passwd"}
				if flag == tar.TypeReg {
					bad.content = "hostile"
				}
				entries := append(append(append([]entry{}, good[:at]...), bad), good[at:]...)
				what := fmt.Sprintf("%s %.40q before entry %d", kind, name, at)
				a, err := readArchive(t.Context(), fileOf(t, pack(entries...)), most)
				if err != nil {
					var fault *executor.JobError
					require.ErrorAs(t, err, &fault, what)
					refused++
					continue
				}
				taken++
				require.False(t, mustRefuse(name, flag), "%s was taken", what)
				clean(t, a, most, what)
			}
		}
	}
	require.Equal(t, archiveCases, refused+taken)
	require.Greater(t, refused, archiveCases/2, "they are hostile")
	require.Positive(t, taken, "and not all of them")
}

// mustRefuse tells of entries that lead out, are neither file nor folder, or
// are there twice.
func mustRefuse(name string, kind byte) bool {
	at := path.Clean(name)
	unwritten := !utf8.ValidString(name) || strings.HasSuffix(name, "/") && kind != tar.TypeDir // by package tar
	switch {
	case unwritten:
		return false
	case path.IsAbs(name), at == "..", strings.HasPrefix(at, "../"):
		return true
	case kind == tar.TypeChar, kind == tar.TypeBlock, kind == tar.TypeFifo, kind == tar.TypeCont:
		return true
	}
	return kind != tar.TypeDir && (at == "c.json" || at == "manifest.json" || at == "l.tar")
}

// clean sees that what the daemon is given has nothing of an archive but its
// image: regular files in names that souk made.
func clean(t *testing.T, a *archive, most int, what string) {
	var out bytes.Buffer
	require.NoError(t, a.write(&out), what)
	require.LessOrEqual(t, out.Len(), most, what)
	r, n := tar.NewReader(&out), 0
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, what)
		require.Equal(t, byte(tar.TypeReg), h.Typeflag, what)
		require.True(t, filepath.IsLocal(h.Name), "%s: %q", what, h.Name)
		require.Regexp(t, `^([0-9a-f]{64}\.json|[0-9]+/layer\.tar|manifest\.json)$`, h.Name, what)
		n++
	}
	require.Equal(t, len(a.layers)+2, n, what)
}

// endlessLayer is the headers of files without end.
type endlessLayer struct {
	header []byte
	at     int
	read   int64
}

func (e *endlessLayer) Read(p []byte) (int, error) {
	n := copy(p, e.header[e.at:])
	e.at = (e.at + n) % len(e.header)
	e.read += int64(n)
	return n, nil
}

func TestALayerOfAMillionFilesIsReadNoFurtherThanItsLimit(t *testing.T) {
	const most = 64 << 20
	e := &endlessLayer{header: pack(entry{name: "f"})[:512]}
	_, err := verifyLayer(t.Context(), e, sum(nil), &budget{whole: most})
	var fault *executor.JobError
	require.ErrorAs(t, err, &fault)
	require.Contains(t, fault.Reason, "too big")
	require.Less(t, e.read, int64(most/4), "files count before what is in them")
}

// odd makes something in outputs that is neither file nor folder, or leads out.
var odd = map[string]func(at, victim string) error{
	"link out":       func(at, victim string) error { return os.Symlink(victim, at) },
	"link to folder": func(at, victim string) error { return os.Symlink(filepath.Dir(victim), at) },
	"dangling link":  func(at, _ string) error { return os.Symlink("/no/such", at) },
	"link to itself": func(at, _ string) error { return os.Symlink(filepath.Base(at), at) },
	"link upwards":   func(at, _ string) error { return os.Symlink("../../../..", at) },
	"pipe":           func(at, _ string) error { return syscall.Mkfifo(at, 0o666) },
	"socket": func(at, _ string) error {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		defer func() { _ = syscall.Close(fd) }()
		return syscall.Bind(fd, &syscall.SockaddrUnix{Name: at})
	},
}

func TestOutputsKeepFilesAndFoldersAlone(t *testing.T) {
	for name, make := range odd {
		for depth := range 4 {
			base := t.TempDir()
			victim := filepath.Join(base, "outside", "victim")
			require.NoError(t, os.MkdirAll(filepath.Dir(victim), 0o755))
			require.NoError(t, os.WriteFile(victim, []byte("alive"), 0o600))
			out := filepath.Join(base, "out")
			at := filepath.Join(out, strings.Repeat("d/", depth))
			require.NoError(t, os.MkdirAll(at, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(at, "result"), nil, 0o600))
			t.Chdir(at) // a socket's name is short
			require.NoError(t, make("odd", victim), name)
			removed, err := tidy(out)
			require.NoError(t, err, name)
			require.Equal(t, 1, removed, "%s at depth %d", name, depth)
			require.NoError(t, filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
				require.True(t, d.IsDir() || d.Type().IsRegular(), path)
				return err
			}))
			require.FileExists(t, filepath.Join(at, "result"))
			alive, err := os.ReadFile(victim)
			require.NoError(t, err)
			require.Equal(t, "alive", string(alive))
		}
	}
}
