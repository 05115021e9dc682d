package wasm

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// entry is one compiled module on disk.
type entry struct {
	path string
	size int64
	used time.Time
}

// evict removes compiled modules, the longest unused first, until at most most
// bytes in at most count modules are left, and those of other builds and
// processors. It runs when the executor is made and after each compiling.
func (e *Executor) evict(most int64, count int) error {
	e.evicting.Lock()
	defer e.evicting.Unlock()
	builds, err := os.ReadDir(filepath.Dir(e.cache()))
	if err != nil {
		return err
	}
	for _, b := range builds {
		if b.Name() != e.machine {
			if err := os.RemoveAll(filepath.Join(filepath.Dir(e.cache()), b.Name())); err != nil {
				return err
			}
		}
	}
	entries, err := listEntries(e.cache())
	if err != nil {
		return err
	}
	for i, one := range entries { // newest first
		if most -= one.size; most >= 0 && i < count {
			continue
		}
		if err := e.discard(one.path); err != nil {
			return err
		}
	}
	return nil
}

func listEntries(dir string) ([]entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, f := range found {
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		one := entry{path: filepath.Join(dir, f.Name()), used: info.ModTime()}
		err = filepath.WalkDir(one.path, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil {
				one.size += info.Size()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		entries = append(entries, one)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(b.used.UnixNano(), a.used.UnixNano()) })
	return entries, nil
}
