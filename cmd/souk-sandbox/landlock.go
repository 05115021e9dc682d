//go:build linux

package main

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// grant is a path and what may be done beneath it.
type grant struct {
	path   string
	access uint64
}

const (
	readFile  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readTree  = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writeTree = readTree | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REFER
)

// landlockABI is the version that the kernel has, 0 for none.
func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// handled is all that a kernel of this version can forbid: the files' rights
// came with versions 1, 2 (refer), 3 (truncate) and 5 (device ioctls), TCP with 4.
func handled(abi int) (files, net uint64, size uintptr) {
	bits := map[int]int{1: 13, 2: 14, 3: 15, 4: 15}
	n, ok := bits[abi]
	if !ok {
		n = 16
	}
	files = 1<<n - 1
	if abi < 4 {
		return files, 0, 8
	}
	return files, unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, 16
}

// landlock forbids every file but the granted ones, and TCP, from here on.
// Where the kernel hasn't got it, nothing is done: `check` tells.
func landlock(grants []grant) error {
	abi := landlockABI()
	if abi == 0 {
		return nil
	}
	files, net, size := handled(abi)
	attr := unix.LandlockRulesetAttr{Access_fs: files, Access_net: net}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(set))
	for _, g := range grants {
		if err := allow(int(set), grant{g.path, g.access & files}); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return allThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0)
}

func allow(set int, g grant) error {
	fd, err := unix.Open(g.path, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	rule := unix.LandlockPathBeneathAttr{Allowed_access: g.access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set),
		unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// allThreads makes a system call on every thread. A binary linked with C can't;
// there the main thread, which runs the guest, stands for all.
func allThreads(call, a1, a2 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall(call, a1, a2, 0)
	if errno == syscall.ENOTSUP {
		_, _, errno = syscall.Syscall(call, a1, a2, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}

func linkedWithC() bool {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPPID, 0, 0, 0)
	return errno == syscall.ENOTSUP
}
