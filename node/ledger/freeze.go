package ledger

import (
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markerPrefix begins the names of the store's markers.
const markerPrefix = "marker."

// freezer is a filesystem that stops for good at the first operation that
// fails to change it. The store must not see such a failure: over a failed WAL
// write it ends the process, and over some others it goes on as if nothing
// had been. So from the failure on nothing reaches the disk, every change is
// told to have worked, and the ledger, which learns the cause first, confirms
// nothing any more. The disk stays what a crash at that instant would have
// left, which is what recovery is made for. Reads are not touched.
type freezer struct {
	vfs.FS
	once   sync.Once
	frozen chan struct{}
	failed func(error)
}

func newFreezer(base vfs.FS, failed func(error)) *freezer {
	return &freezer{FS: base, frozen: make(chan struct{}), failed: failed}
}

func (f *freezer) isFrozen() bool {
	select {
	case <-f.frozen:
		return true
	default:
		return false
	}
}

func (f *freezer) freeze(cause error) {
	f.once.Do(func() {
		f.failed(cause)
		close(f.frozen)
	})
}

// do makes a change unless the disk is frozen, which it is after a failure.
func (f *freezer) do(change func() error) {
	if f.isFrozen() {
		return
	}
	if err := change(); err != nil {
		f.freeze(err)
	}
}

// file opens a file for writing, or gives one that leads nowhere.
func (f *freezer) file(open func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	f.do(func() (err error) {
		file, err = open()
		return err
	})
	if file == nil {
		file = vfs.NewMemFile(nil)
	}
	return frozenFile{file, f}, nil
}

func (f *freezer) Unwrap() vfs.FS { return f.FS }

// Create syncs the folder before it makes a marker in it. A marker's name says
// which other file counts; the store syncs both names at once, and a power loss
// could keep the marker's alone.
func (f *freezer) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), markerPrefix) {
		f.do(func() error { return syncDir(f.FS, f.PathDir(name)) })
	}
	return f.file(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *freezer) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

func (f *freezer) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.ReuseForWrite(from, to, c) })
}

func (f *freezer) OpenDir(name string) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *freezer) Link(from, to string) error {
	f.do(func() error { return f.FS.Link(from, to) })
	return nil
}

func (f *freezer) Rename(from, to string) error {
	f.do(func() error { return f.FS.Rename(from, to) })
	return nil
}

func (f *freezer) MkdirAll(dir string, perm os.FileMode) error {
	f.do(func() error { return f.FS.MkdirAll(dir, perm) })
	return nil
}

// Remove may fail: a file too many harms nothing.
func (f *freezer) Remove(name string) error {
	if f.isFrozen() {
		return nil
	}
	return f.FS.Remove(name)
}

// RemoveAll may fail as Remove may.
func (f *freezer) RemoveAll(name string) error {
	if f.isFrozen() {
		return nil
	}
	return f.FS.RemoveAll(name)
}

// frozenFile is a file of a freezer.
type frozenFile struct {
	vfs.File
	fs *freezer
}

func (f frozenFile) Write(p []byte) (int, error) {
	f.fs.do(func() error { _, err := f.File.Write(p); return err })
	return len(p), nil
}

func (f frozenFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.do(func() error { _, err := f.File.WriteAt(p, off); return err })
	return len(p), nil
}

func (f frozenFile) Preallocate(off, n int64) error {
	f.fs.do(func() error { return f.File.Preallocate(off, n) })
	return nil
}

func (f frozenFile) Sync() error {
	f.fs.do(f.File.Sync)
	return nil
}

func (f frozenFile) SyncData() error {
	f.fs.do(f.File.SyncData)
	return nil
}

func (f frozenFile) SyncTo(n int64) (full bool, err error) {
	f.fs.do(func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, nil
}

// Close always closes, or descriptors would leak; it makes nothing durable.
func (f frozenFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.fs.freeze(err)
	}
	return nil
}
