//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"souk/node/executor/wasm/control"
)

const (
	diskEvery   = 50 * time.Millisecond
	entryBytes  = 4096    // what each file or folder counts besides its content
	diskEntries = 100_000 // files and folders that outputs may have
)

// watchDisk looks at the outputs until they are over the limit. It is the second
// line: a guest in wazero is ended by its quota before it goes over. One that
// broke out could go over by what it writes between two looks, and no file of its
// could (RLIMIT_FSIZE).
func (s *supervisor) watchDisk(dir string, limit int64, quit <-chan struct{}) {
	for {
		begun := time.Now()
		if held(dir, limit)+s.guest.unlinked() > limit {
			select {
			case s.inbox <- func() { s.tooMuch(quit) }:
			case <-quit:
			}
			return
		}
		// A large tree is looked at less often: looking takes at most a tenth.
		select {
		case <-time.After(max(diskEvery, 10*time.Since(begun))):
		case <-quit:
			return
		}
	}
}

// tooMuch ends the execution that quit belongs to.
func (s *supervisor) tooMuch(quit <-chan struct{}) {
	if s.watching == quit {
		s.finish(control.Result{Cause: limitDisk})
	}
}

// unlinked is how many bytes the guest keeps in files that have no name any more.
func (p *process) unlinked() int64 {
	dir := p.proc + "fd"
	open, _ := os.ReadDir(dir)
	var sum int64
	for _, fd := range open {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, fd.Name()), &st) == nil && st.Nlink == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG {
			sum += st.Size
		}
	}
	return sum
}

// held is how many bytes the tree at dir holds; it stops counting once over limit.
func held(dir string, limit int64) int64 {
	var sum int64
	entries := 0
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path == dir || errors.Is(err, fs.ErrNotExist) {
			return nil // removed while walking
		}
		if err != nil { // what can't be looked at can't be allowed
			sum = limit + 1
			return fs.SkipAll
		}
		sum += entryBytes
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		if entries++; entries > diskEntries {
			sum = limit + 1
		}
		if sum > limit {
			return fs.SkipAll
		}
		return nil
	})
	return sum
}
