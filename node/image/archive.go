package image

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"souk/internal/quantity"
	"souk/protocol/market"
)

// MaxArchive is the most bytes of an archive: those of all inputs of a job.
const MaxArchive = market.MaxInputBytes

// Archive looks at a file as "docker save" writes it and gives the platform
// that its one image is for, empty where it doesn't say. Its errors are *Error.
func Archive(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", wrong("image archive %s does not exist", path)
	case err != nil:
		return "", wrong("image archive %s can't be read: %v", path, err)
	case !info.Mode().IsRegular():
		return "", wrong("image archive %s is no file", path)
	case info.Size() > MaxArchive:
		return "", wrong("image archive %s has %s, and the limit is %s; push it to a registry and name it there", path, quantity.Human(info.Size()), quantity.Format(MaxArchive))
	}
	if f, err := os.Open(path); err != nil { //nolint:gosec // the user's own path
		return "", wrong("image archive %s can't be read: permission denied", path)
	} else if err := f.Close(); err != nil {
		return "", wrong("image archive %s can't be read: %v", path, err)
	}
	images, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) }) //nolint:gosec // the user's own path
	if err != nil {
		return "", wrong("%s is no image archive; write one with: docker save NAME -o FILE.tar", path)
	}
	if len(images) != 1 {
		return "", wrong("image archive %s holds %d images; save the one that is to run alone", path, len(images))
	}
	img, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		return "", wrong("image archive %s is damaged: its image can't be read; save it again", path)
	}
	c, err := img.ConfigFile()
	if err != nil {
		return "", wrong("image archive %s is damaged: its image's config can't be read; save it again", path)
	}
	return platform(c.OS, c.Architecture, c.Variant), nil
}
