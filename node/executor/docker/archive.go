package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

const (
	maxEntries  = 4096    // of an archive
	maxManifest = 1 << 20 // bytes
	maxConfig   = 4 << 20 // bytes
	maxLayers   = 128     // as many as overlay file systems take
)

// archive is an image as "docker save" writes it, validated, in a file.
type archive struct {
	file   *os.File
	config []byte
	layers []span
	takes  room // on a disk, unpacked
}

// span is where an entry's content lies in the file.
type span struct{ offset, size int64 }

// manifestEntry is what manifest.json says of one image.
type manifestEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// readArchive validates an archive: one image, whose parts are regular files by
// clean names. Its names and everything else in it are left behind: what is handed
// on to the daemon is made anew by write.
func readArchive(ctx context.Context, f *os.File, maxBytes int64) (*archive, error) {
	entries, err := index(f)
	if err != nil {
		return nil, err
	}
	raw, err := part(f, entries, "manifest.json", maxManifest)
	if err != nil {
		return nil, err
	}
	var manifests []manifestEntry
	if err := json.Unmarshal(raw, &manifests); err != nil {
		return nil, refuse("the archive's manifest.json can't be read; make the archive with docker save")
	}
	if len(manifests) != 1 {
		return nil, refuse("the archive holds %d images, and must hold one; docker save writes one if it is given one name", len(manifests))
	}
	a := &archive{file: f}
	if a.config, err = part(f, entries, manifests[0].Config, maxConfig); err != nil {
		return nil, err
	}
	ids, err := layerIDs(a.config)
	if err != nil {
		return nil, err
	}
	if len(ids) != len(manifests[0].Layers) || len(ids) == 0 || len(ids) > maxLayers {
		return nil, refuse("the archive names %d layers and its configuration %d; they must be the same, 1 to %d", len(manifests[0].Layers), len(ids), maxLayers)
	}
	left := &budget{whole: maxBytes}
	for i, name := range manifests[0].Layers {
		at, ok := entries[path.Clean(name)]
		if !ok {
			return nil, refuse("the archive lacks its layer %.80q", name)
		}
		takes, err := verifyLayer(ctx, io.NewSectionReader(f, at.offset, at.size), ids[i], left)
		if err != nil {
			return nil, err
		}
		a.takes.add(takes)
		a.layers = append(a.layers, at)
	}
	return a, nil
}

// layerIDs are the digests of the unpacked layers that a configuration names.
func layerIDs(config []byte) ([]string, error) {
	var c struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, refuse("the image's configuration can't be read; make the archive with docker save")
	}
	return c.RootFS.DiffIDs, nil
}

// index finds the regular files of a tar, and links to them within it, which
// older versions of docker save write for a layer that occurs twice.
func index(f *os.File) (map[string]span, error) {
	entries, links := map[string]span{}, map[string]string{}
	r := tar.NewReader(f)
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, refuse("the image's archive is no tar file as docker save writes it; a compressed one must be unpacked first")
		}
		if n == maxEntries {
			return nil, refuse("the archive has more than %d entries", maxEntries)
		}
		name := path.Clean(h.Name)
		if path.IsAbs(h.Name) || name == ".." || strings.HasPrefix(name, "../") {
			return nil, refuse("the archive has an entry outside of itself: %.80q", h.Name)
		}
		if _, twice := entries[name]; twice || links[name] != "" {
			return nil, refuse("the archive has two entries %.80q", name)
		}
		switch h.Typeflag {
		case tar.TypeDir:
		case tar.TypeReg:
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			entries[name] = span{at, h.Size}
		case tar.TypeSymlink:
			links[name] = path.Join(path.Dir(name), h.Linkname)
		case tar.TypeLink:
			links[name] = path.Clean(h.Linkname)
		default:
			return nil, refuse("the archive's entry %.80q is neither file nor folder", name)
		}
	}
	for name, target := range links { // one step: a link to a link leads nowhere
		if at, ok := entries[target]; ok && links[target] == "" {
			entries[name] = at
		}
	}
	return entries, nil
}

// part reads a small entry.
func part(f *os.File, entries map[string]span, name string, most int64) ([]byte, error) {
	at, ok := entries[path.Clean(name)]
	if !ok {
		return nil, refuse("the archive lacks %.80q; make it with docker save", name)
	}
	if at.size > most {
		return nil, refuse("%.80q of the archive has %d bytes, and at most %d are allowed", name, at.size, most)
	}
	raw := make([]byte, at.size)
	if _, err := f.ReadAt(raw, at.offset); err != nil {
		return nil, refuse("the archive ends in the middle of %.80q", name)
	}
	return raw, nil
}

// id is the image's ID: the digest of its configuration.
func (a *archive) id() string {
	sum := sha256.Sum256(a.config)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// write makes an archive without any name for the image, so that loading it
// takes no tag away from anybody.
func (a *archive) write(to io.Writer) error {
	w := tar.NewWriter(to)
	config := strings.TrimPrefix(a.id(), "sha256:") + ".json"
	m := manifestEntry{Config: config}
	for i := range a.layers {
		m.Layers = append(m.Layers, fmt.Sprintf("%d/layer.tar", i))
	}
	manifest, err := json.Marshal([]manifestEntry{m})
	if err != nil {
		return err
	}
	put := func(name string, size int64, r io.Reader) error {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
			return err
		}
		_, err := io.Copy(w, r)
		return err
	}
	for i, at := range a.layers {
		if err := put(m.Layers[i], at.size, io.NewSectionReader(a.file, at.offset, at.size)); err != nil {
			return err
		}
	}
	if err := put(config, int64(len(a.config)), bytes.NewReader(a.config)); err != nil {
		return err
	}
	if err := put("manifest.json", int64(len(manifest)), bytes.NewReader(manifest)); err != nil {
		return err
	}
	return w.Close()
}
