//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func disk() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"disk-fill":      func(f facts) outcome { return fillDisk(f, "/out/fill") },
		"disk-volume":    func(f facts) outcome { return fillDisk(f, "/volume/fill") },
		"disk-unlinked":  unlinked,
		"disk-allocate":  allocate,
		"disk-sparse":    sparse,
		"inode-fill":     inodeFill,
		"links":          links,
		"read-only-root": readOnlyRoot,
		"write-inputs":   writeInputs,
	}
}

// beyondDisk is more than disk and memory leased together.
func beyondDisk(f facts) int64 { return 2 * (f.Disk + f.Memory) }

func fillDisk(f facts, path string) outcome {
	file, err := os.Create(path)
	if err != nil {
		return broken("no file there: %v", err)
	}
	return fill(file, beyondDisk(f))
}

// unlinked fills files that have no name any more.
func unlinked(f facts) outcome {
	for i := range 8 {
		path := fmt.Sprintf("/out/gone-%d", i)
		file, err := os.Create(path)
		if i == 0 && err != nil {
			return broken("a file: %v", err)
		}
		if err != nil {
			return contained("file %d: %v", i, err)
		}
		if err := os.Remove(path); err != nil {
			return broken("unlink: %v", err)
		}
		if o := fill(file, beyondDisk(f)/8); o.code == exitContained {
			return o
		}
	}
	return escaped("%d MiB of files without a name were written", beyondDisk(f)>>20)
}

func allocate(facts) outcome {
	file, err := os.Create("/out/allocated")
	if err != nil {
		return broken("create: %v", err)
	}
	return none(attempt{"allocating 100 GiB", func() error {
		return unix.Fallocate(int(file.Fd()), 0, 0, 100<<30)
	}})
}

// sparse leaves files of 1 TiB that take nothing until someone reads them.
func sparse(facts) outcome {
	for i := range 4 {
		file, err := os.Create(fmt.Sprintf("/out/sparse-%d", i))
		if err != nil {
			return broken("create: %v", err)
		}
		if err := file.Truncate(1 << 40); err != nil {
			return contained("a sparse file: %v", err)
		}
	}
	return contained("4 sparse files of 1 TiB were left")
}

const manyEntries = 1_000_000

func entries(make func(path string) error) outcome {
	for i := range manyEntries {
		dir := fmt.Sprintf("/out/d%d", i/10_000)
		if i%10_000 == 0 {
			if err := os.Mkdir(dir, 0o700); i == 0 && err != nil {
				return broken("a folder: %v", err)
			} else if err != nil {
				return contained("after %d entries: %v", i, err)
			}
		}
		if err := make(fmt.Sprintf("%s/%d", dir, i)); err != nil {
			return contained("after %d entries: %v", i, err)
		}
	}
	return escaped("%d entries were made", manyEntries)
}

func inodeFill(facts) outcome {
	return entries(func(path string) error { return unix.Mknod(path, unix.S_IFREG|0o600, 0) })
}

// links leaves many names for one file, which together read as far more than there is.
func links(facts) outcome {
	if err := os.WriteFile("/out/one", make([]byte, 1<<20), 0o600); err != nil {
		return broken("a file: %v", err)
	}
	const names = 20_000
	for i := range names {
		if err := os.Link("/out/one", fmt.Sprintf("/out/%d", i)); err != nil {
			return contained("after %d links: %v", i, err)
		}
	}
	return contained("%d links to one file of 1 MiB were left", names)
}

// readOnlyRoot tries every folder that there is, apart from the few meant for writing.
func readOnlyRoot(facts) outcome {
	allowed := map[string]bool{"/out": true, "/tmp": true, "/dev/shm": true, "/var/tmp": true, "/run": true, "/volume": true}
	var tried int
	var worked []string
	_ = filepath.WalkDir("/", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if allowed[path] || path == "/proc" || path == "/dev/mqueue" || path == "/dev/pts" {
			return fs.SkipDir
		}
		tried++
		if os.WriteFile(path+"/hostile", nil, 0o600) == nil {
			worked = append(worked, path)
		}
		if path == "/sys" {
			return fs.SkipDir
		}
		return nil
	})
	if len(worked) > 0 {
		return escaped("files can be made in %q", worked)
	}
	return contained("no file can be made in %d folders", tried)
}

func writeInputs(facts) outcome {
	if _, err := os.Stat("/inputs/file"); err != nil {
		return broken("the input: %v", err)
	}
	open := func(flag int) func() error {
		return func() error {
			f, err := os.OpenFile("/inputs/file", flag, 0o600)
			if err != nil {
				return err
			}
			return f.Close()
		}
	}
	return none(
		attempt{"opening an input for writing", open(os.O_WRONLY)},
		attempt{"truncating an input", open(os.O_WRONLY | os.O_TRUNC)},
		attempt{"removing an input", func() error { return os.Remove("/inputs/file") }},
		attempt{"renaming an input", func() error { return os.Rename("/inputs/file", "/inputs/other") }},
		attempt{"a new file beside an input", func() error { return os.WriteFile("/inputs/new", nil, 0o600) }},
		attempt{"an input's mode", func() error { return os.Chmod("/inputs/file", 0o4777) }},
		attempt{"an input's owner", func() error { return os.Lchown("/inputs/file", 12345, 12345) }},
		attempt{"a link to an input in the outputs", func() error { return os.Link("/inputs/file", "/out/link") }},
	)
}
