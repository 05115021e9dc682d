//go:build linux

package main

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"
)

// errDisk unwinds a guest that asked for more disk than it has.
var errDisk = errors.New("over the disk limit")

// quota counts what the outputs hold: the content of each file, its holes too
// and also of one that has no name any more, and a bit for each entry. The
// guest writes there through this alone and was given an empty folder, so the
// count is exact and there is no time between two looks. A call that would go
// over the limit is not made, and is the guest's last.
type quota struct {
	limit   int64
	used    int64
	entries int
	hit     bool
	files   map[sys.Inode]*counted
}

// counted is a regular file.
type counted struct {
	size  int64
	named bool
	open  int
}

func newQuota(limit int64) *quota { return &quota{limit: limit, files: map[sys.Inode]*counted{}} }

// need ends the guest if n bytes more are too many.
func (q *quota) need(n int64) {
	if n > 0 && n > q.limit-q.used {
		q.over()
	}
}

func (q *quota) over() {
	q.hit = true
	panic(errDisk)
}

// enter ends the guest if one entry more is too many.
func (q *quota) enter() {
	q.need(entryBytes)
	if q.entries >= diskEntries {
		q.over()
	}
}

func (q *quota) entry(n int) {
	q.entries += n
	q.used += int64(n) * entryBytes
}

// resize counts a file's new size.
func (q *quota) resize(c *counted, size int64) {
	q.used += size - c.size
	c.size = size
}

// release forgets a file that has neither a name nor an opener.
func (q *quota) release(ino sys.Inode, c *counted) {
	if !c.named && c.open == 0 {
		q.used -= c.size
		delete(q.files, ino)
	}
}

// maxPath bounds the path of a file in the outputs, in bytes, so that whoever
// collects them from where they lie can name each one.
const maxPath = 3000

// quotaFS is the tree at dir under a quota.
type quotaFS struct {
	experimentalsys.FS
	dir   string
	quota *quota
}

func newQuotaFS(dir string, q *quota) *quotaFS {
	return &quotaFS{FS: sysfs.DirFS(dir), dir: dir, quota: q}
}

func (f *quotaFS) OpenFile(name string, flag experimentalsys.Oflag, perm fs.FileMode) (experimentalsys.File, experimentalsys.Errno) {
	if len(name) > maxPath {
		return nil, experimentalsys.ENAMETOOLONG
	}
	if flag&experimentalsys.O_CREAT != 0 {
		if _, errno := f.FS.Lstat(name); errno != 0 {
			f.quota.enter()
		}
	}
	file, errno := f.FS.OpenFile(name, flag, perm)
	if errno != 0 {
		return nil, errno
	}
	st, errno := file.Stat()
	if errno != 0 {
		_ = file.Close()
		return nil, errno
	}
	if !st.Mode.IsRegular() {
		return file, 0
	}
	return f.quota.opened(file, st), 0
}

func (q *quota) opened(file experimentalsys.File, st sys.Stat_t) *quotaFile {
	c := q.files[st.Ino]
	if c == nil {
		c = &counted{named: true}
		q.files[st.Ino] = c
		q.entry(1)
	}
	c.open++
	q.resize(c, st.Size) // it may have been cut
	return &quotaFile{File: file, quota: q, counted: c, ino: st.Ino}
}

func (f *quotaFS) Mkdir(name string, perm fs.FileMode) experimentalsys.Errno {
	if len(name) > maxPath {
		return experimentalsys.ENAMETOOLONG
	}
	f.quota.enter()
	errno := f.FS.Mkdir(name, perm)
	if errno == 0 {
		f.quota.entry(1)
	}
	return errno
}

func (f *quotaFS) Rmdir(name string) experimentalsys.Errno {
	errno := f.FS.Rmdir(name)
	if errno == 0 {
		f.quota.entry(-1)
	}
	return errno
}

func (f *quotaFS) Unlink(name string) experimentalsys.Errno {
	st, missing := f.FS.Lstat(name)
	errno := f.FS.Unlink(name)
	if errno == 0 && missing == 0 {
		f.quota.unnamed(st)
	}
	return errno
}

// Rename refuses to move a folder to a place from where what is in it can't be
// named: nobody could count it, or bring it back.
func (f *quotaFS) Rename(from, to string) experimentalsys.Errno {
	moved, errno := f.FS.Lstat(from)
	if errno != 0 {
		return errno
	}
	if len(to) > maxPath || moved.Mode.IsDir() && len(to)+f.below(from) > maxPath {
		return experimentalsys.ENAMETOOLONG
	}
	replaced, missing := f.FS.Lstat(to)
	errno = f.FS.Rename(from, to)
	if errno == 0 && missing == 0 && replaced.Ino != moved.Ino {
		f.quota.unnamed(replaced)
	}
	return errno
}

// below is the length of the longest path beneath a folder.
func (f *quotaFS) below(name string) (longest int) {
	top := filepath.Join(f.dir, name)
	_ = filepath.WalkDir(top, func(path string, _ fs.DirEntry, _ error) error {
		longest = max(longest, len(path)-len(top))
		return nil
	})
	return longest
}

// unnamed takes an entry away that has lost its name.
func (q *quota) unnamed(st sys.Stat_t) {
	q.entry(-1)
	if c := q.files[st.Ino]; c != nil {
		c.named = false
		q.release(st.Ino, c)
	}
}

// quotaFile is a regular file under a quota.
type quotaFile struct {
	experimentalsys.File
	quota   *quota
	counted *counted
	ino     sys.Inode
	closed  bool
}

func (f *quotaFile) Write(p []byte) (int, experimentalsys.Errno) {
	if len(p) == 0 {
		return f.File.Write(p)
	}
	at, errno := f.offset()
	if errno != 0 {
		return 0, errno
	}
	f.quota.need(beyond(at, len(p), f.counted.size))
	n, errno := f.File.Write(p)
	f.wrote(at, n)
	return n, errno
}

func (f *quotaFile) wrote(at int64, n int) {
	if n > 0 {
		f.quota.resize(f.counted, max(f.counted.size, at+int64(n)))
	}
}

// offset is where the next Write goes.
func (f *quotaFile) offset() (int64, experimentalsys.Errno) {
	if f.IsAppend() {
		return f.counted.size, 0
	}
	return f.Seek(0, io.SeekCurrent)
}

func (f *quotaFile) Pwrite(p []byte, off int64) (int, experimentalsys.Errno) {
	if off >= 0 && len(p) > 0 {
		f.quota.need(beyond(off, len(p), f.counted.size))
	}
	n, errno := f.File.Pwrite(p, off)
	f.wrote(off, n)
	return n, errno
}

// beyond is how much n bytes at off reach over size.
func beyond(off int64, n int, size int64) int64 {
	const most = 1<<63 - 1
	if off > most-int64(n) {
		return most
	}
	return off + int64(n) - size
}

func (f *quotaFile) Truncate(size int64) experimentalsys.Errno {
	f.quota.need(size - f.counted.size)
	errno := f.File.Truncate(size)
	if errno == 0 {
		f.quota.resize(f.counted, size)
	}
	return errno
}

func (f *quotaFile) Close() experimentalsys.Errno {
	errno := f.File.Close()
	if !f.closed {
		f.closed = true
		f.counted.open--
		f.quota.release(f.ino, f.counted)
	}
	return errno
}
