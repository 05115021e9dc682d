//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"souk/node/executor/docker/pid1"
)

// selfError is a failure that isn't the job's.
type selfError struct {
	what string
	err  error
}

func (e *selfError) Error() string { return fmt.Sprintf("%s: %v", e.what, e.err) }
func (e *selfError) Unwrap() error { return e.err }

// start runs the job's program as the job's user, without capabilities or any
// way to some, in a session of its own.
func start(program, env []string) (job int, err error) {
	// Users and capabilities are a thread's own: what changes here until the end
	// changes for the job that this thread makes, and for no other thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	give(1)
	give(2)
	if err := unbound(); err != nil {
		return 0, &selfError{"capabilities can't be given up", err}
	}
	path, err := find(program[0])
	if err != nil {
		return 0, err
	}
	return syscall.ForkExec(path, program, &syscall.ProcAttr{
		Env: env, Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: pid1.Job, Gid: pid1.Job}, Setsid: true},
	})
}

// give makes a pipe the job's own, who may want to open it again as /dev/stdout.
func give(fd int) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
		_ = unix.Fchown(fd, pid1.Job, pid1.Job) // without, it can still write to it
	}
}

// held are the capabilities that souk-init is started with.
var held = []uintptr{unix.CAP_CHOWN, unix.CAP_KILL, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_SETUID}

// unbound takes from what this thread starts all that could become capabilities.
func unbound() error {
	for _, c := range held {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return err
		}
	}
	var all uint32
	for _, c := range held {
		all |= 1 << c
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: all, Permitted: all}} // none to inherit
	return unix.Capset(&header, &data[0])
}

// find looks the program up as the job would, with the job's rights to files.
func find(name string) (path string, err error) {
	if err := effective(pid1.Job); err != nil {
		return "", &selfError{"the job's user can't be taken on", err}
	}
	path, err = exec.LookPath(name)
	if back := effective(0); back != nil {
		return "", &selfError{"the job's user can't be left", back}
	}
	return path, err
}

// effective is whom this thread alone acts as, until it is changed back.
func effective(id int) error {
	const same = ^uintptr(0)
	change := []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID}
	if id == 0 { // the user first, who may change the group
		change = []uintptr{unix.SYS_SETRESUID, unix.SYS_SETRESGID}
	}
	for _, call := range change {
		if _, _, errno := unix.RawSyscall(call, same, uintptr(id), same); errno != 0 {
			return errno
		}
	}
	return nil
}

// settle makes this whole process a user of its own, who holds nothing but the
// right to signal the job.
func settle() error {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); errno != 0 {
		return &selfError{"capabilities can't be kept", errno}
	}
	if err := syscall.Setgroups(nil); err != nil {
		return &selfError{"groups can't be left", err}
	}
	if err := syscall.Setresgid(pid1.Init, pid1.Init, pid1.Init); err != nil {
		return &selfError{"the group can't be changed", err}
	}
	if err := syscall.Setresuid(pid1.Init, pid1.Init, pid1.Init); err != nil {
		return &selfError{"the user can't be changed", err}
	}
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{{Effective: 1 << unix.CAP_KILL, Permitted: 1 << unix.CAP_KILL}}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0)
	runtime.KeepAlive(header)
	runtime.KeepAlive(data)
	if errno != 0 {
		return &selfError{"capabilities can't be given up", errno}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // of the whole process
		return &selfError{"it can't be kept from being traced", err}
	}
	return nil
}
