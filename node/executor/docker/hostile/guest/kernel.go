//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func kernel() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"proc-sys":         each(procSys, sysrq),
		"modules":          each(modules, reboot),
		"bpf":              each(bpf, perf, userfaultfd),
		"keyrings":         keyrings,
		"io-uring":         ioUring,
		"kernel-log":       each(kernelLog, openByHandle),
		"clock":            each(clock, hostname),
		"exotic-sockets":   exoticSockets,
		"new-capabilities": newCapabilities,
	}
}

// procSys writes back what it reads, so that nothing changes where it works.
func procSys(facts) outcome {
	var all []attempt
	for _, name := range []string{
		"kernel/core_pattern", "kernel/modprobe", "kernel/hotplug", "kernel/panic", "kernel/pid_max", "kernel/randomize_va_space",
		"kernel/yama/ptrace_scope", "kernel/unprivileged_bpf_disabled", "kernel/shmmax", "kernel/hostname", "kernel/ns_last_pid",
		"vm/overcommit_memory", "vm/drop_caches", "vm/swappiness", "fs/file-max", "fs/suid_dumpable", "fs/protected_symlinks",
		"fs/binfmt_misc/register", "net/ipv4/ip_forward", "net/core/somaxconn", "user/max_user_namespaces",
	} {
		path := "/proc/sys/" + name
		all = append(all, attempt{"writing " + path, func() error {
			now, err := os.ReadFile(path)
			if err != nil {
				now = []byte("0")
			}
			return os.WriteFile(path, now, 0o600)
		}})
	}
	return none(all...)
}

// sysrq asks only for the harmless help text.
func sysrq(facts) outcome {
	return none(
		attempt{"a sysrq", func() error { return os.WriteFile("/proc/sysrq-trigger", []byte("h"), 0o600) }},
		attempt{"allowing sysrq", func() error { return os.WriteFile("/proc/sys/kernel/sysrq", []byte("1"), 0o600) }},
	)
}

// allowed tells "not allowed" from "allowed, but what was asked made no sense".
func allowed(err error) error {
	for _, senseless := range []error{unix.EINVAL, unix.EFAULT, unix.ENOEXEC, unix.EBADF} {
		if errors.Is(err, senseless) {
			return nil
		}
	}
	return err
}

func modules(facts) outcome {
	rubbish := make([]byte, 4096)
	name := []byte("hostile\x00")
	return none(
		attempt{"loading a module", func() error { return allowed(unix.InitModule(rubbish, "")) }},
		attempt{"loading a module from a file", func() error { return allowed(unix.FinitModule(-1, "", 0)) }},
		attempt{"unloading a module", func() error {
			_, _, errno := unix.Syscall(unix.SYS_DELETE_MODULE, uintptr(unsafe.Pointer(&name[0])), unix.O_NONBLOCK, 0)
			if errno == unix.ENOENT {
				return nil
			}
			return allowed(failed(errno))
		}},
		attempt{"another kernel", func() error {
			_, _, errno := unix.Syscall6(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0xffff, 0, 0)
			return allowed(failed(errno))
		}},
	)
}

// reboot asks for something that changes little even where it is allowed.
func reboot(facts) outcome {
	return none(
		attempt{"reboot(2)", func() error { return allowed(unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)) }},
		attempt{"process accounting", func() error { return allowed(unix.Acct("/out/accounting")) }},
		attempt{"hanging up the terminal", func() error {
			_, _, errno := unix.Syscall(unix.SYS_VHANGUP, 0, 0, 0)
			return failed(errno)
		}},
		attempt{"quotas", func() error {
			_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL, 0x800001<<8, 0, 0, 0, 0, 0) // Q_SYNC of everything
			return failed(errno)
		}},
	)
}

func bpf(facts) outcome {
	mapCreate := [18]uint32{2, 4, 4, 1} // an array with one element
	load := [18]uint32{1, 0}
	call := func(command uintptr, attr *[18]uint32) func() error {
		return func() error {
			_, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
			return allowed(failed(errno))
		}
	}
	return none(attempt{"a BPF map", call(0, &mapCreate)}, attempt{"a BPF program", call(5, &load)})
}

func perf(facts) outcome {
	open := func(pid, cpu int) func() error {
		return func() error {
			attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK}
			attr.Size = uint32(unsafe.Sizeof(attr))
			fd, err := unix.PerfEventOpen(&attr, pid, cpu, -1, 0)
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}
	}
	return none(attempt{"measuring the whole machine", open(-1, 0)}, attempt{"measuring itself", open(0, -1)})
}

// userfaultfd makes races in the kernel easy to win.
func userfaultfd(facts) outcome {
	return none(attempt{"userfaultfd that sees the kernel's faults", func() error {
		_, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
		return failed(errno)
	}})
}

// keyrings are shared by all processes of one user, whatever their namespaces.
func keyrings(facts) outcome {
	return none(
		attempt{"a key in the user's keyring", func() error {
			_, err := unix.AddKey("user", "hostile", []byte("x"), unix.KEY_SPEC_USER_KEYRING)
			return err
		}},
		attempt{"a session keyring", func() error { _, err := unix.KeyctlJoinSessionKeyring(""); return err }},
		attempt{"reading the session keyring", func() error {
			_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
			return err
		}},
		attempt{"asking for a key", func() error { _, err := unix.RequestKey("user", "hostile", "", 0); return err }},
	)
}

func ioUring(facts) outcome {
	return none(attempt{"io_uring", func() error {
		var params [30]uint32
		_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)), 0)
		return failed(errno)
	}})
}

// kernelLog reads the machine's log. gVisor has one of its own, which tells nothing.
func kernelLog(facts) outcome {
	b := make([]byte, 1<<16)
	return none(
		attempt{"the kernel's log", func() error {
			n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, b)
			if err == nil && strings.Contains(string(b[:n]), "Starting gVisor") {
				return fmt.Errorf("it is gVisor's own")
			}
			return err
		}},
		attempt{"clearing the kernel's log", func() error { _, err := unix.Klogctl(unix.SYSLOG_ACTION_CLEAR, nil); return err }},
		attempt{"silencing the console", func() error { _, err := unix.Klogctl(unix.SYSLOG_ACTION_CONSOLE_OFF, nil); return err }},
	)
}

// openByHandle is the way out that was called Shocker: files by inode number.
func openByHandle(facts) outcome {
	return none(attempt{"opening the machine's root by its inode", func() error {
		dir, err := unix.Open("/out", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		_, err = unix.OpenByHandleAt(dir, unix.NewFileHandle(1, []byte{2, 0, 0, 0, 0, 0, 0, 0}), unix.O_RDONLY)
		if errors.Is(err, unix.ESTALE) {
			return nil // it was let look
		}
		return err
	}})
}

// clock sets the time to what it is.
func clock(facts) outcome {
	return none(
		attempt{"settimeofday", func() error {
			now := unix.NsecToTimeval(time.Now().UnixNano())
			return unix.Settimeofday(&now)
		}},
		attempt{"clock_settime", func() error {
			now := unix.NsecToTimespec(time.Now().UnixNano())
			return unix.ClockSettime(unix.CLOCK_REALTIME, &now)
		}},
		attempt{"adjtimex", func() error {
			_, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_FREQUENCY})
			return err
		}},
	)
}

// exoticSockets are families that no network namespace holds, or that only widen
// what of the kernel can be attacked.
func exoticSockets(facts) outcome {
	socket := func(name string, family, kind, protocol int) attempt {
		return attempt{name, func() error {
			fd, err := unix.Socket(family, kind, protocol)
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}}
	}
	return none(
		socket("a socket to the hypervisor", unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		socket("a raw IPv4 socket", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		socket("a raw IPv6 socket", unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6),
		socket("a packet socket", unix.AF_PACKET, unix.SOCK_RAW, 0x0300),
		socket("a Bluetooth socket", unix.AF_BLUETOOTH, unix.SOCK_RAW, 1),
		socket("a CAN socket", unix.AF_CAN, unix.SOCK_RAW, 1),
		socket("a TIPC socket", unix.AF_TIPC, unix.SOCK_SEQPACKET, 0),
		socket("an RDS socket", unix.AF_RDS, unix.SOCK_SEQPACKET, 0),
		socket("an XDP socket", unix.AF_XDP, unix.SOCK_RAW, 0),
	)
}

// newCapabilities looks for a way to some, as by the setuid copy of itself that
// the image holds.
func newCapabilities(facts) outcome {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return broken("capget: %v", err)
	}
	if data[0].Permitted|data[0].Inheritable|data[1].Permitted|data[1].Inheritable != 0 {
		return escaped("it has capabilities: %x, %x to inherit", data[0].Permitted, data[0].Inheritable)
	}
	return none(
		attempt{"a program with the setuid bit", becomeRoot},
		attempt{"setuid(0)", func() error { return unix.Setresuid(0, 0, 0) }},
		attempt{"other groups", func() error { return unix.Setgroups([]int{0, 6, 999}) }},
		attempt{"a capability that a program could be given", func() error {
			for c := range uintptr(unix.CAP_LAST_CAP + 1) {
				if set, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err == nil && set == 1 {
					say("capability %d is in the bounding set", c)
					return nil
				}
			}
			return unix.EPERM
		}},
		attempt{"ambient capabilities", func() error {
			return unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SYS_ADMIN, 0, 0)
		}},
		attempt{"a process that may gain privileges", func() error {
			set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
			if err == nil && set == 1 {
				return unix.EPERM
			}
			return err
		}},
	)
}
