//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// manyProcesses is far above what a lease allows and still kind to a machine
// whose walls fail.
const manyProcesses = 4096

func processes() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"fork-bomb":      forkBomb,
		"thread-bomb":    threadBomb,
		"zombie-flood":   zombieFlood,
		"ignore-signals": ignoreSignals,
		"freeze":         freeze,
		"daemonize":      daemonize,
		"daemon":         func(facts) outcome { forever(); return contained("") },
		"threads":        threads,
		"kill-all":       killAll,
		"kill-outside":   each(killOutside, ptrace),
		"priority":       priority,
		"rlimits":        rlimits,
		"cpu-burn":       cpuBurn,
		"core-dump":      coreDump,
		"crash":          func(facts) outcome { return crash() },
	}
}

// fork is a bare fork without exec; in the child run must use raw system calls
// only and never return.
func fork(run func()) (int, error) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		run()
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	return int(pid), nil
}

func hang() {
	for {
		_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

func leave() {}

func multiply(run func()) outcome {
	for i := range manyProcesses {
		if _, err := fork(run); err != nil {
			return contained("fork %d: %v", i+1, err)
		}
	}
	return escaped("%d processes were made", manyProcesses)
}

func forkBomb(facts) outcome    { return multiply(hang) }
func zombieFlood(facts) outcome { return multiply(leave) }

// threadBomb lets a child make the threads: Go ends a process that gets none.
func threadBomb(facts) outcome {
	out, err := exec.Command("/proc/self/exe", "threads").CombinedOutput()
	if err == nil || strings.Contains(string(out), "all threads run") {
		return escaped("%d threads were made", manyProcesses)
	}
	text := string(out)
	return contained("the child that made threads ended: %v, saying %.80q", err, text)
}

func threads(facts) outcome {
	ready := make(chan struct{})
	for range manyProcesses {
		go func() {
			runtime.LockOSThread()
			ready <- struct{}{}
			forever()
		}()
		<-ready
	}
	return escaped("all threads run")
}

func ignoreSignals(facts) outcome {
	signal.Ignore()
	forever()
	return contained("")
}

// freeze has every process of the job stopped when its time is up.
func freeze(facts) outcome {
	for range 8 {
		if _, err := fork(func() {
			for {
				_, _, _ = unix.RawSyscall(unix.SYS_KILL, 0, uintptr(unix.SIGSTOP), 0)
			}
		}); err != nil {
			return broken("fork: %v", err)
		}
	}
	_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	forever()
	return contained("")
}

// daemonize leaves children in sessions of their own behind and ends well.
func daemonize(facts) outcome {
	for range 8 {
		child := exec.Command("/proc/self/exe", "daemon")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		child.Env = os.Environ()
		if err := child.Start(); err != nil {
			return broken("a daemon: %v", err)
		}
	}
	return contained("8 daemons were left behind")
}

// killAll runs in a child, because a successful one might end it as well.
func killAll(facts) outcome {
	pid, err := fork(func() { _, _, _ = unix.RawSyscall(unix.SYS_KILL, ^uintptr(0), uintptr(unix.SIGKILL), 0) })
	if err != nil {
		return broken("fork: %v", err)
	}
	_, err = unix.Wait4(pid, nil, 0, nil)
	return contained("everything that could be seen was killed (%v)", err)
}

func killOutside(f facts) outcome {
	for pid := 2; pid < 1<<16; pid++ {
		if pid != os.Getpid() && unix.Kill(pid, 0) == nil && !ours(pid) {
			return escaped("process %d can be signalled", pid)
		}
	}
	return none(
		attempt{"killing a process outside", func() error { return unix.Kill(f.PID, unix.SIGKILL) }},
		attempt{"a handle for a process outside", func() error { _, err := unix.PidfdOpen(f.PID, 0); return err }},
	)
}

// ours says whether pid is a thread of this process: kill takes those too.
func ours(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", pid))
	return err == nil
}

func ptrace(f facts) outcome {
	runtime.LockOSThread()
	var one [1]byte
	local := []unix.Iovec{{Base: &one[0], Len: 1}}
	remote := []unix.RemoteIovec{{Base: 0x400000, Len: 1}}
	return none(
		attempt{"attaching to a process outside", func() error { return unix.PtraceAttach(f.PID) }},
		attempt{"reading the memory of a process outside", func() error {
			_, err := unix.ProcessVMReadv(f.PID, local, remote, 0)
			return err
		}},
		attempt{"opening the memory of a process outside", func() error {
			_, err := os.Open(fmt.Sprintf("/proc/%d/mem", f.PID))
			return err
		}},
		attempt{"the root of a process outside", func() error {
			_, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/", f.PID))
			return err
		}},
	)
}

func priority(facts) outcome {
	type param struct{ priority int32 }
	return none(
		attempt{"nice -20", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) }},
		attempt{"real-time scheduling", func() error {
			p := param{99}
			_, _, errno := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, 0, 1, uintptr(unsafe.Pointer(&p)))
			return failed(errno)
		}},
		attempt{"real-time I/O", func() error {
			_, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, 1, 0, 1<<13)
			return failed(errno)
		}},
		attempt{"never being chosen when memory runs out", func() error {
			return os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
		}},
	)
}

func rlimits(facts) outcome {
	raise := func(name string, resource int) attempt {
		return attempt{"more " + name, func() error {
			var now unix.Rlimit
			if err := unix.Getrlimit(resource, &now); err != nil {
				return err
			}
			if now.Max == unix.RLIM_INFINITY {
				return errors.New("there is no limit to raise, the cgroup has to hold it")
			}
			return unix.Setrlimit(resource, &unix.Rlimit{Cur: now.Max + 1, Max: now.Max + 1})
		}}
	}
	return none(
		raise("open files", unix.RLIMIT_NOFILE),
		raise("locked memory", unix.RLIMIT_MEMLOCK),
		raise("processes", unix.RLIMIT_NPROC),
		raise("core dumps", unix.RLIMIT_CORE),
		raise("pending signals", 11),
		raise("message queues", 12),
	)
}

// cpuBurn takes as many cores as it gets for 3 s.
func cpuBurn(facts) outcome {
	const during = 3 * time.Second
	began := time.Now()
	for range 8 {
		go func() {
			for n := uint64(1); n != 0; n += 2 { // odd, so never 0
			}
		}()
	}
	time.Sleep(during)
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return broken("getrusage: %v", err)
	}
	cores := float64(used.Utime.Nano()+used.Stime.Nano()) / float64(time.Since(began))
	return contained("it counts %.2f cores", cores) // what is true is seen outside
}

func coreDump(facts) outcome {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	child := exec.Command("/proc/self/exe", "crash")
	child.Env = append(os.Environ(), "GOTRACEBACK=crash")
	err := child.Run()
	if err == nil {
		return broken("the child did not crash")
	}
	return contained("a child crashed: %v", err)
}

func crash() outcome {
	_ = unix.Kill(os.Getpid(), unix.SIGABRT)
	forever()
	return broken("")
}
