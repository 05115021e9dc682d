//go:build linux

package main

import (
	"hash/fnv"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"

	"souk/node/executor/wasm/control"
)

// filesystem is what the guest sees: the inputs read-only at "/", and the
// outputs folder, under a quota.
func filesystem(order guestOrder, q *quota) wazero.FSConfig {
	root := &sysfs.ReadFS{FS: sysfs.DirFS(filepath.Join(order.Spec.Box, control.BoxRoot))}
	fixed := !order.Spec.RealTime
	config := wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(&jail{FS: root, fixed: fixed}, "/")
	if order.Spec.Outputs == "" {
		return config
	}
	out := newQuotaFS(filepath.Join(order.Spec.Box, control.BoxOut), q)
	return config.(sysfs.FSConfig).WithSysFSMount(&jail{FS: out, fixed: fixed}, order.Spec.Outputs)
}

// jail keeps a guest's paths inside one tree. wazero's own file system follows
// links out of it; here no link can be made and no path may climb, which holds
// also where the kernel has no Landlock. With fixed set, what a guest learns
// about a file depends only on its name and content.
type jail struct {
	experimentalsys.FS
	fixed bool
}

func climbs(name string) bool {
	return !fs.ValidPath(strings.TrimSuffix(path.Clean(name), "/"))
}

func (j *jail) OpenFile(name string, flag experimentalsys.Oflag, perm fs.FileMode) (experimentalsys.File, experimentalsys.Errno) {
	if climbs(name) {
		return nil, experimentalsys.EPERM
	}
	f, errno := j.FS.OpenFile(name, flag|experimentalsys.O_NOFOLLOW, perm)
	if errno != 0 || !j.fixed {
		return f, errno
	}
	return &fixedFile{File: f, name: path.Clean(name)}, 0
}

func (j *jail) Lstat(name string) (sys.Stat_t, experimentalsys.Errno) {
	if climbs(name) {
		return sys.Stat_t{}, experimentalsys.EPERM
	}
	st, errno := j.FS.Lstat(name)
	return j.fix(name, st), errno
}

func (j *jail) Stat(name string) (sys.Stat_t, experimentalsys.Errno) {
	return j.Lstat(name) // there are no links to follow
}

func (j *jail) fix(name string, st sys.Stat_t) sys.Stat_t {
	if j.fixed {
		return fixedStat(name, st)
	}
	return st
}

func (j *jail) Mkdir(name string, perm fs.FileMode) experimentalsys.Errno {
	return inside(name, func() experimentalsys.Errno { return j.FS.Mkdir(name, perm) })
}

func (j *jail) Chmod(name string, perm fs.FileMode) experimentalsys.Errno {
	return inside(name, func() experimentalsys.Errno { return j.FS.Chmod(name, perm) })
}

func (j *jail) Rename(from, to string) experimentalsys.Errno {
	if climbs(to) {
		return experimentalsys.EPERM
	}
	return inside(from, func() experimentalsys.Errno { return j.FS.Rename(from, to) })
}

func (j *jail) Rmdir(name string) experimentalsys.Errno {
	return inside(name, func() experimentalsys.Errno { return j.FS.Rmdir(name) })
}

func (j *jail) Unlink(name string) experimentalsys.Errno {
	return inside(name, func() experimentalsys.Errno { return j.FS.Unlink(name) })
}

func (j *jail) Utimens(name string, atim, mtim int64) experimentalsys.Errno {
	return inside(name, func() experimentalsys.Errno { return j.FS.Utimens(name, atim, mtim) })
}

func (j *jail) Link(string, string) experimentalsys.Errno    { return experimentalsys.EPERM }
func (j *jail) Symlink(string, string) experimentalsys.Errno { return experimentalsys.EPERM }
func (j *jail) Readlink(string) (string, experimentalsys.Errno) {
	return "", experimentalsys.EINVAL
}

func inside(name string, do func() experimentalsys.Errno) experimentalsys.Errno {
	if climbs(name) {
		return experimentalsys.EPERM
	}
	return do()
}

// fixedFile hides what differs from machine to machine.
type fixedFile struct {
	experimentalsys.File
	name    string
	listing []experimentalsys.Dirent // read and not yet handed out
}

func (f *fixedFile) Dev() (uint64, experimentalsys.Errno)    { return 1, 0 }
func (f *fixedFile) Ino() (sys.Inode, experimentalsys.Errno) { return inode(f.name), 0 }

func (f *fixedFile) Stat() (sys.Stat_t, experimentalsys.Errno) {
	st, errno := f.File.Stat()
	return fixedStat(f.name, st), errno
}

// Readdir lists in the order of names. Once all was listed it asks again, as
// the guest may have gone back to the start.
func (f *fixedFile) Readdir(n int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	if len(f.listing) == 0 {
		all, errno := f.File.Readdir(-1)
		if errno != 0 {
			return nil, errno
		}
		slices.SortFunc(all, func(a, b experimentalsys.Dirent) int { return strings.Compare(a.Name, b.Name) })
		for i := range all {
			all[i].Ino = inode(path.Join(f.name, all[i].Name))
		}
		f.listing = all
	}
	if n <= 0 || n > len(f.listing) {
		n = len(f.listing)
	}
	next := f.listing[:n]
	f.listing = f.listing[n:]
	return next, 0
}

func fixedStat(name string, st sys.Stat_t) sys.Stat_t {
	const epoch = fixedEpoch * 1_000_000_000
	st.Dev, st.Ino, st.Nlink = 1, inode(name), 1
	st.Atim, st.Mtim, st.Ctim = epoch, epoch, epoch
	if st.Mode.IsDir() {
		st.Size = 0
	}
	return st
}

// inode is a stand-in for a file's number, from its name.
func inode(name string) sys.Inode {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path.Clean(name)))
	return h.Sum64() | 1
}
