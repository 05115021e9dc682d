//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// first are the attacks on the container's first process, which ends it when its
// time is up or its node is gone.
func first() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"first-process": each(settled, signalFirst, readFirst, slowFirst, fakeSign),
		"orphan-flood":  orphanFlood,
		"signal-flood":  signalFlood,
		"thread-hold":   threadHold,
	}
}

const one = 1 // the first process

// settled waits until the first process is done with starting this one.
func settled(facts) outcome {
	for range 1000 {
		raw, err := os.ReadFile("/proc/1/status")
		if err != nil {
			return contained("nothing can be seen of it: %v", err)
		}
		if strings.Contains(string(raw), "Uid:\t65533\t65533\t65533") {
			return contained("it runs as a user of its own")
		}
		time.Sleep(10 * time.Millisecond)
	}
	return escaped("these worked: keeping the first process what it began as; ")
}

func signalFirst(facts) outcome {
	var attempts []attempt
	for _, s := range []syscall.Signal{0, unix.SIGSTOP, unix.SIGTSTP, unix.SIGKILL, unix.SIGTERM, unix.SIGCHLD, unix.SIGSEGV, 34, 64} {
		attempts = append(attempts,
			attempt{fmt.Sprintf("signal %d to the first process", s), func() error { return unix.Kill(one, s) }},
			attempt{fmt.Sprintf("signal %d to the first thread", s), func() error { return unix.Tgkill(one, one, s) }})
	}
	return none(append(attempts, attempt{"a signal by a handle of it", func() error {
		fd, err := unix.PidfdOpen(one, 0)
		if err != nil {
			return err
		}
		return unix.PidfdSendSignal(fd, unix.SIGSTOP, nil, 0)
	}})...)
}

func readFirst(facts) outcome {
	runtime.LockOSThread()
	var b [1]byte
	local := []unix.Iovec{{Base: &b[0], Len: 1}}
	remote := []unix.RemoteIovec{{Base: 0x400000, Len: 1}}
	opened := func(path string) attempt {
		return attempt{"opening " + path, func() error { _, err := os.Open(path); return err }}
	}
	listed := func(path string) attempt {
		return attempt{"listing " + path, func() error { _, err := os.ReadDir(path); return err }}
	}
	return none(
		attempt{"tracing the first process", func() error { return unix.PtraceAttach(one) }},
		attempt{"seizing the first process", func() error { return unix.PtraceSeize(one) }},
		attempt{"reading its memory", func() error { _, err := unix.ProcessVMReadv(one, local, remote, 0); return err }},
		attempt{"writing its memory", func() error { _, err := unix.ProcessVMWritev(one, local, remote, 0); return err }},
		opened("/proc/1/mem"), opened("/proc/1/environ"), listed("/proc/1/fd"), listed("/proc/1/root/"), listed("/proc/1/cwd/"),
	)
}

func slowFirst(facts) outcome {
	type param struct{ priority int32 }
	return none(
		attempt{"nice 19 for the first process", func() error { return unix.Setpriority(unix.PRIO_PROCESS, one, 19) }},
		attempt{"the idle class for it", func() error {
			const idle = 5
			p := param{}
			_, _, errno := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, one, idle, uintptr(unsafe.Pointer(&p)))
			return failed(errno)
		}},
		attempt{"one core for it", func() error { return unix.SchedSetaffinity(one, &unix.CPUSet{1}) }},
		attempt{"other limits for it", func() error {
			return unix.Prlimit(one, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: 1}, nil)
		}},
		attempt{"being killed first", func() error { return os.WriteFile("/proc/1/oom_score_adj", []byte("1000"), 0) }},
	)
}

// fakeSign is after the file by which the first process knows that its node lives.
func fakeSign(facts) outcome {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return broken("mountinfo: %v", err)
	}
	var at string
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], "/.souk-") && filepath.Base(f[4]) == "alive" {
			at = f[4]
		}
	}
	if at == "" {
		return broken("no sign of the node is mounted")
	}
	sign, program := filepath.Join(at, "sign"), filepath.Join(filepath.Dir(at), "init")
	if _, err := os.Stat(sign); err != nil {
		return broken("the sign: %v", err)
	}
	now := time.Now()
	return none(
		attempt{"touching the sign", func() error { return os.Chtimes(sign, now, now) }},
		attempt{"writing the sign", func() error { return os.WriteFile(sign, []byte("x"), 0) }},
		attempt{"removing the sign", func() error { return os.Remove(sign) }},
		attempt{"making another sign", func() error { return os.WriteFile(filepath.Join(at, "other"), nil, 0) }},
		attempt{"moving its folder", func() error { return os.Rename(at, at+"2") }},
		attempt{"mounting over it", func() error { return unix.Mount("none", at, "tmpfs", 0, "") }},
		attempt{"unmounting it", func() error { return unix.Unmount(at, unix.MNT_DETACH) }},
		attempt{"writing souk-init", func() error { return os.WriteFile(program, []byte("x"), 0) }},
	)
}

// orphanFlood has the first process reap without end.
func orphanFlood(facts) outcome {
	for range 8 {
		if _, err := fork(func() {
			for {
				pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
				if errno == 0 && pid == 0 { // the child leaves its own child behind, and goes
					_, _, _ = unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
					_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
				}
				_, _, _ = unix.RawSyscall6(unix.SYS_WAIT4, ^uintptr(0), 0, 0, 0, 0, 0)
			}
		}); err != nil {
			return broken("fork: %v", err)
		}
	}
	forever()
	return contained("")
}

// signalFlood sends what can be queued, to the first process and to everybody.
func signalFlood(facts) outcome {
	for n := range 8 {
		if _, err := fork(func() {
			for s := uintptr(34); ; s = 34 + (s-33)%31 {
				_, _, _ = unix.RawSyscall(unix.SYS_KILL, one, s, 0)
				_, _, _ = unix.RawSyscall(unix.SYS_KILL, one, uintptr(unix.SIGSTOP), 0)
				_, _, _ = unix.RawSyscall(unix.SYS_KILL, one, uintptr(unix.SIGTERM), 0)
			}
		}); err != nil {
			return broken("fork %d: %v", n, err)
		}
	}
	forever()
	return contained("")
}

// threadHold takes every process that may be had, and keeps them busy.
func threadHold(facts) outcome {
	for {
		_, err := fork(func() {
			for n := uint64(1); n != 0; n += 2 { // odd, so never 0
			}
		})
		if err != nil && !errors.Is(err, unix.EINTR) {
			break
		}
	}
	forever()
	return contained("")
}
