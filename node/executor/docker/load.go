package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"souk/node/blob"
	"souk/node/executor"
)

const (
	archiveFile = "image.tar"
	maxAnswer   = 1 << 20 // bytes of the daemon's answer to a load
)

// byArchive loads the archive that the client brought. The image's ID is known
// from the archive alone, so one that is here already isn't loaded again.
func (c *images) byArchive(ctx context.Context, d daemon, dir string, spec executor.Spec) (found image.InspectResponse, err error) {
	path := filepath.Join(dir, archiveFile)
	tell(spec, "reading the image's archive")
	err = c.exec.cfg.Source.Export(ctx, spec.Owner, spec.Image.Archive, path, c.exec.cfg.MaxImage)
	if errors.Is(err, blob.ErrTooLarge) {
		return found, unable(blob.ErrTooLarge, "the image's archive has more than the %d MiB up to which this provider takes images", c.exec.cfg.MaxImage>>20)
	}
	if err != nil {
		return found, fmt.Errorf("the image's archive could not be read: %w", err)
	}
	defer os.Remove(path)
	f, err := os.Open(path)
	if err != nil {
		return found, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return found, errors.Join(err, refuse("the image's archive is a folder; it must be one file as docker save writes it"))
	}
	a, err := readArchive(ctx, f, c.exec.cfg.MaxImage)
	if err != nil {
		return found, err
	}
	return c.take(ctx, d, a, brought{Owner: spec.Owner}, func(line string) { tell(spec, "%s", line) })
}

// load hands an archive to the daemon and gives the image's ID, which of a
// daemon with another image store is not the archive's.
func (c *images) load(ctx context.Context, a *archive) (string, error) {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := a.write(w)
		w.CloseWithError(err)
		written <- err
	}()
	answer, err := c.exec.api.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	r.Close()
	if wrote := <-written; err == nil && wrote != nil && !errors.Is(wrote, io.ErrClosedPipe) {
		err = wrote
	}
	if err != nil {
		return "", fmt.Errorf("the image could not be loaded: %w", err)
	}
	defer answer.Close()
	return loadedID(io.LimitReader(answer, maxAnswer), a.id())
}

// loadedID reads the daemon's answer.
func loadedID(answer io.Reader, otherwise string) (string, error) {
	const said = "Loaded image ID: " // a part of Docker's API that has no field of its own
	dec := json.NewDecoder(answer)
	id := otherwise
	for {
		var m jsonstream.Message
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			return id, nil
		}
		if err != nil {
			return "", fmt.Errorf("the daemon's answer to a load can't be read: %w", err)
		}
		if m.Error != nil {
			return "", refuse("Docker takes no such image; save it anew, or build it with a newer Docker")
		}
		if rest, ok := bytes.CutPrefix([]byte(m.Stream), []byte(said)); ok {
			id = string(bytes.TrimSpace(rest))
		}
	}
}

// tell passes a line of progress on.
func tell(spec executor.Spec, format string, args ...any) {
	if spec.Progress != nil {
		spec.Progress(fmt.Sprintf(format, args...))
	}
}
