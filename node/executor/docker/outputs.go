package docker

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// tidy removes from the outputs of a container that ended what is neither file
// nor folder, so that nobody who reads them follows a link out of them or waits
// at a pipe, and says how much that was. Folders that the job locked are opened.
func tidy(dir string) (removed int, err error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer root.Close()
	return tidyFolder(root, ".", 0)
}

// maxDepth is of folders in outputs; the blob store takes no deeper ones either.
const maxDepth = 256

func tidyFolder(root *os.Root, at string, depth int) (removed int, err error) {
	if depth > maxDepth {
		return 1, root.RemoveAll(at)
	}
	f, err := root.Open(at)
	if err != nil {
		return 0, err
	}
	entries, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return 0, err
	}
	for _, d := range entries {
		name := filepath.Join(at, d.Name())
		n := 0
		switch {
		case d.IsDir():
			n, err = tidyFolder(root, name, depth+1)
		case d.Type().IsRegular():
			continue
		default:
			n, err = 1, root.Remove(name)
		}
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}
