//go:build linux && (amd64 || arm64)

package main

import (
	"errors"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the kernel puts what a filter reads (struct seccomp_data), little-endian.
const (
	callNumber = 0
	callArch   = 4
	firstArg   = 16
)

// refused are calls that neither wazero nor Go's runtime makes here: starting
// programs, sockets, other processes, links, devices, kernel machinery.
var refused = append([]uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL,
	unix.SYS_SYMLINKAT, unix.SYS_LINKAT, unix.SYS_MKNODAT, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_CHROOT,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_FSOPEN, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_SETUP, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT,
	unix.SYS_SETSID, unix.SYS_SETPGID, unix.SYS_SHMGET, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_MQ_OPEN,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
	unix.SYS_CLOCK_SETTIME, unix.SYS_SETTIMEOFDAY, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_SYSLOG, unix.SYS_QUOTACTL,
}, refusedHere...)

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

func answer(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

// jump compares what was loaded with k and skips yes or no instructions.
func jump(test uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: yes, Jf: no}
}

func program(self uint32, idle []uint32) []unix.SockFilter {
	deny, done := answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)), answer(unix.SECCOMP_RET_ERRNO)
	prog := []unix.SockFilter{
		load(callArch), jump(unix.BPF_JEQ, auditArch, 1, 0), deny,
		load(callNumber), jump(unix.BPF_JGE, 0x40000000, 0, 1), deny, // x32's numbers
		jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), answer(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)),
	}
	for _, nr := range refused {
		prog = append(prog, jump(unix.BPF_JEQ, nr, 0, 1), deny)
	}
	for _, nr := range idle {
		prog = append(prog, jump(unix.BPF_JEQ, nr, 0, 1), done)
	}
	return append(prog,
		// A thread may be made, a process not.
		jump(unix.BPF_JEQ, unix.SYS_CLONE, 0, 4),
		load(firstArg), jump(unix.BPF_JSET, unix.CLONE_THREAD, 1, 0), deny, answer(unix.SECCOMP_RET_ALLOW),
		// Go's runtime signals its own threads, nobody else's.
		jump(unix.BPF_JEQ, unix.SYS_TGKILL, 0, 3),
		load(firstArg), jump(unix.BPF_JEQ, self, 1, 0), deny,
		answer(unix.SECCOMP_RET_ALLOW))
}

// filterCalls refuses those calls on every thread, from here on, and answers the
// idle ones without doing them; the error is errors.ErrUnsupported on a kernel
// without filters.
func filterCalls(idle ...uint32) error {
	prog := program(uint32(os.Getpid()), idle)
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno == unix.ENOSYS || errno == unix.EINVAL {
		return errors.ErrUnsupported
	}
	if errno != 0 {
		return errno
	}
	return nil
}
