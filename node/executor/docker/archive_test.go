package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/node/executor"
)

func sum(raw []byte) string {
	s := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(s[:])
}

// entry is one of a tar; without a kind it is a regular file.
type entry struct {
	name, content, link string
	kind                byte
}

func pack(entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		_ = w.WriteHeader(&tar.Header{Typeflag: e.kind, Name: e.name, Linkname: e.link, Size: int64(len(e.content)), Mode: 0o644})
		_, _ = w.Write([]byte(e.content))
	}
	_ = w.Close()
	return b.Bytes()
}

func configOf(layers ...string) string {
	ids := make([]string, 0, len(layers))
	for _, l := range layers {
		ids = append(ids, sum([]byte(l)))
	}
	raw, _ := json.Marshal(map[string]any{"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"diff_ids": ids}})
	return string(raw)
}

func manifestOf(layers ...string) string {
	raw, _ := json.Marshal([]manifestEntry{{Config: "c.json", RepoTags: []string{"alpine:latest"}, Layers: layers}})
	return string(raw)
}

func fileOf(t testing.TB, raw []byte) *os.File {
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func zstded(s string) string {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

// layerOf is a layer with one file.
func layerOf(content string) string { return string(pack(entry{name: "file", content: content})) }

func TestArchiveIsMadeAnewWithoutNames(t *testing.T) {
	first := layerOf("first")
	for name, packed := range map[string]func(string) string{"plain": func(s string) string { return s }, "gzip": gzipped, "zstd": zstded} {
		raw := pack(
			entry{name: "a/", kind: tar.TypeDir},
			entry{name: "a/layer.tar", content: packed(first)},
			entry{name: "b/layer.tar", kind: tar.TypeSymlink, link: "../a/layer.tar"},
			entry{name: "repositories", content: `{"alpine":{"latest":"a"}}`},
			entry{name: "c.json", content: configOf(first, first)},
			entry{name: "manifest.json", content: manifestOf("a/layer.tar", "b/layer.tar")},
		)
		a, err := readArchive(t.Context(), fileOf(t, raw), 1<<20)
		require.NoError(t, err, name)
		require.Equal(t, sum([]byte(configOf(first, first))), a.id())
		var out bytes.Buffer
		require.NoError(t, a.write(&out))
		require.NotContains(t, out.String(), "alpine", "no name of it is loaded")
		again, err := readArchive(t.Context(), fileOf(t, out.Bytes()), 1<<20)
		require.NoError(t, err)
		require.Equal(t, a.id(), again.id())
		r := tar.NewReader(&out)
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			require.Equal(t, byte(tar.TypeReg), h.Typeflag)
		}
	}
}

func TestHostileArchives(t *testing.T) {
	layer := layerOf("the layer")
	const limit = 10_000
	good := []entry{{name: "l.tar", content: layer}, {name: "c.json", content: configOf(layer)}, {name: "manifest.json", content: manifestOf("l.tar")}}
	_, err := readArchive(t.Context(), fileOf(t, pack(good...)), limit)
	require.NoError(t, err)
	with := func(more ...entry) []byte { return pack(append(more, good...)...) }
	instead := func(i int, e entry) []byte {
		changed := append([]entry(nil), good...)
		changed[i] = e
		return pack(changed...)
	}
	many := make([]entry, maxEntries)
	for i := range many {
		many[i].name = fmt.Sprint("f", i)
	}
	two, _ := json.Marshal([]manifestEntry{{Config: "c.json", Layers: []string{"l.tar"}}, {Config: "c.json", Layers: []string{"l.tar"}}})
	bad := map[string][]byte{
		"empty":             nil,
		"no tar":            []byte(strings.Repeat("x", 2000)),
		"compressed":        []byte(gzipped(string(pack(good...)))),
		"climbs":            with(entry{name: "../x", content: "y"}),
		"climbs inside":     with(entry{name: "a/../../x", content: "y"}),
		"absolute":          with(entry{name: "/etc/passwd", content: "y"}),
		"device":            with(entry{name: "dev", kind: tar.TypeChar}),
		"pipe":              with(entry{name: "pipe", kind: tar.TypeFifo}),
		"twice":             with(entry{name: "./c.json", content: "{}"}),
		"link and file":     with(entry{name: "c.json", kind: tar.TypeSymlink, link: "l.tar"}),
		"many":              with(many...),
		"two images":        instead(2, entry{name: "manifest.json", content: string(two)}),
		"no image":          instead(2, entry{name: "manifest.json", content: "[]"}),
		"no manifest":       instead(2, entry{name: "other.json", content: "[]"}),
		"no JSON":           instead(2, entry{name: "manifest.json", content: "["}),
		"huge manifest":     instead(2, entry{name: "manifest.json", content: manifestOf("l.tar") + strings.Repeat(" ", maxManifest)}),
		"link to itself":    instead(0, entry{name: "l.tar", kind: tar.TypeSymlink, link: "l.tar"}),
		"link out":          instead(0, entry{name: "l.tar", kind: tar.TypeSymlink, link: "/etc/passwd"}),
		"lacks layer":       instead(2, entry{name: "manifest.json", content: manifestOf("m.tar")}),
		"too many layers":   instead(2, entry{name: "manifest.json", content: manifestOf("l.tar", "l.tar")}),
		"other layer":       instead(0, entry{name: "l.tar", content: "another layer"}),
		"lacks config":      instead(1, entry{name: "d.json", content: configOf(layer)}),
		"config no JSON":    instead(1, entry{name: "c.json", content: "null,"}),
		"config outside":    instead(2, entry{name: "manifest.json", content: `[{"Config":"../../etc/passwd","Layers":["l.tar"]}]`}),
		"bomb":              instead(0, entry{name: "l.tar", content: gzipped(layerOf(strings.Repeat("0", 1<<20)))}),
		"broken gzip":       instead(0, entry{name: "l.tar", content: gzipped(layer)[:15]}),
		"layer over limit":  imageOf(layerOf(strings.Repeat("x", limit))),
		"layer of files":    imageOf(string(pack(entry{name: "a"}, entry{name: "b"}, entry{name: "c"}))),
		"layer in bzip2":    imageOf("BZh9" + layer),
		"layer in xz":       imageOf("\xfd7zXZ\x00" + layer),
		"layer skipped":     imageOf("\x5f\x2a\x4d\x18\x00\x00\x00\x00" + zstded(layer)),
		"layer is no tar":   imageOf(strings.Repeat("x", 2000)),
		"sparse layer":      imageOf(sparse),
		"ends in the midst": pack(good...)[:600],
	}
	_, err = readArchive(ended(t), fileOf(t, pack(good...)), limit)
	require.ErrorIs(t, err, context.Canceled, "unpacking ends with the lease")
	for name, raw := range bad {
		_, err := readArchive(t.Context(), fileOf(t, raw), limit)
		var fault *executor.JobError
		require.ErrorAs(t, err, &fault, name)
		require.NotEmpty(t, fault.Reason)
	}
}

// imageOf is an archive of one layer.
func imageOf(layer string) []byte {
	return pack(entry{name: "l.tar", content: layer}, entry{name: "c.json", content: configOf(layer)}, entry{name: "manifest.json", content: manifestOf("l.tar")})
}

// sparse is a layer with a file of 1 TiB that is nothing but a hole. Package tar
// writes none.
var sparse = func() string {
	records := ""
	for _, r := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=hole", "GNU.sparse.realsize=1099511627776"} {
		size := len(r) + 4 // with its length in two digits, a blank and a newline
		records += fmt.Sprintf("%d %s\n", size, r)
	}
	raw := pack(entry{name: "x", content: records}, entry{name: "hole", content: "0\n" + strings.Repeat("\x00", 510)})
	raw[156] = tar.TypeXHeader
	for i := 148; i < 156; i++ {
		raw[i] = ' '
	}
	total := 0
	for _, b := range raw[:512] {
		total += int(b)
	}
	copy(raw[148:], fmt.Sprintf("%06o\x00 ", total))
	return string(raw)
}()

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func FuzzArchive(f *testing.F) {
	f.Add(pack(entry{name: "l.tar", content: layerOf("x")}, entry{name: "c.json", content: configOf(layerOf("x"))}, entry{name: "manifest.json", content: manifestOf("l.tar")}))
	f.Add(pack(entry{name: "l.tar", kind: tar.TypeSymlink, link: "l.tar"}, entry{name: "manifest.json", content: manifestOf("l.tar")}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzztest.Bound(t)
		a, err := readArchive(t.Context(), fileOf(t, raw), 1<<16)
		if err == nil {
			require.NoError(t, a.write(io.Discard))
		}
	})
}
