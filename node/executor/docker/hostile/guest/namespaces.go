//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func namespaces() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"mount":   each(mount, unmount, pivot),
		"unshare": unshare,
		"setns":   setns,
		"cgroup":  each(cgroupEscape, cgroupLimits),
		"whoami":  whoami,
	}
}

// becomeRoot is nil if the setuid copy of this program runs as another user.
func becomeRoot() error {
	out, err := exec.Command("/setuid-hostile", "whoami").CombinedOutput()
	if err != nil {
		return err
	}
	if now := fmt.Sprintf("%d\n", os.Geteuid()); strings.HasPrefix(string(out), now) {
		return errors.New("it ran as the same user")
	}
	return nil
}

func whoami(facts) outcome {
	say("%d", os.Geteuid())
	return contained("")
}

func mounts(source, fstype string, flags uintptr, data string) attempt {
	return attempt{fmt.Sprintf("mounting %s %s", fstype, source), func() error {
		if err := os.MkdirAll("/tmp/mnt", 0o700); err != nil {
			return err
		}
		return unix.Mount(source, "/tmp/mnt", fstype, flags, data)
	}}
}

func mount(facts) outcome {
	return none(
		mounts("hostile", "tmpfs", 0, ""),
		mounts("proc", "proc", 0, ""),
		mounts("sysfs", "sysfs", 0, ""),
		mounts("devtmpfs", "devtmpfs", 0, ""),
		mounts("/dev/vda", "ext4", 0, ""),
		mounts("/", "", unix.MS_BIND|unix.MS_REC, ""),
		mounts("overlay", "overlay", 0, "lowerdir=/,upperdir=/tmp,workdir=/tmp"),
		attempt{"making the root writable", func() error {
			return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "")
		}},
		attempt{"sharing mounts", func() error { return unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, "") }},
		attempt{"a file system context", func() error {
			fd, err := unix.Fsopen("tmpfs", 0)
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}},
		attempt{"cloning a tree", func() error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}},
		attempt{"changing a mount", func() error {
			return unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
		}},
	)
}

// unmount takes away what hides the kernel's files.
func unmount(facts) outcome {
	var all []attempt
	for _, path := range []string{
		"/proc/kcore", "/proc/sys", "/proc/sysrq-trigger", "/proc/keys", "/sys/firmware", "/sys", "/inputs", "/dev", "/proc", "/",
	} {
		all = append(all, attempt{"unmounting " + path, func() error { return unix.Unmount(path, unix.MNT_DETACH) }})
	}
	return none(all...)
}

func pivot(facts) outcome {
	return none(
		attempt{"chroot", func() error { return unix.Chroot("/tmp") }},
		attempt{"pivot_root", func() error { return unix.PivotRoot("/tmp", "/tmp") }},
	)
}

// inChild runs a system call in a child of its own, so that what it changes goes with it.
func inChild(number, arg uintptr) error {
	pid, err := fork(func() {
		_, _, errno := unix.RawSyscall(number, arg, 0, 0)
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
	})
	if err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return err
	}
	if code := status.ExitStatus(); code != 0 {
		return unix.Errno(code)
	}
	return nil
}

func unshare(facts) outcome {
	var all []attempt
	for name, flag := range map[string]uintptr{
		"user": unix.CLONE_NEWUSER, "mount": unix.CLONE_NEWNS, "network": unix.CLONE_NEWNET, "pid": unix.CLONE_NEWPID,
		"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP,
		"user and mount": unix.CLONE_NEWUSER | unix.CLONE_NEWNS, "user and network": unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
	} {
		all = append(all, attempt{"a new " + name + " namespace", func() error { return inChild(unix.SYS_UNSHARE, flag) }})
	}
	return none(all...)
}

// setns joins what namespaces it finds that are not its own.
func setns(f facts) outcome {
	var all []attempt
	for _, pid := range []int{1, 2, f.PID} {
		for _, name := range []string{"mnt", "net", "pid", "user", "ipc", "uts", "cgroup"} {
			path := fmt.Sprintf("/proc/%d/ns/%s", pid, name)
			all = append(all, attempt{"joining " + path, func() error {
				fd, err := unix.Open(path, unix.O_RDONLY, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				return unix.Setns(fd, 0)
			}})
		}
	}
	return none(all...)
}

// cgroupEscape is the old way out: a program that the kernel runs for an empty cgroup.
func cgroupEscape(facts) outcome {
	var all []attempt
	for _, data := range []string{"memory", "rdma", "devices", "none,name=hostile"} {
		all = append(all, mounts("cgroup", "cgroup", 0, data))
	}
	all = append(all, mounts("cgroup2", "cgroup2", 0, ""))
	return none(append(all, cgroupFiles("release_agent", "notify_on_release")...)...)
}

func cgroupLimits(facts) outcome {
	all := cgroupFiles("memory.limit_in_bytes", "memory.max", "pids.max", "cpu.max", "cpu.cfs_quota_us", "devices.allow", "cgroup.procs", "tasks", "cpuset.cpus")
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/memory"} {
		all = append(all, attempt{"a cgroup of its own in " + dir, func() error { return os.Mkdir(dir+"/hostile", 0o700) }})
	}
	return none(all...)
}

func cgroupFiles(names ...string) []attempt {
	var all []attempt
	for _, name := range names {
		found, _ := filepath.Glob("/sys/fs/cgroup/" + name)
		deeper, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
		for _, path := range append(append(found, deeper...), "/sys/fs/cgroup/"+name) {
			all = append(all, attempt{"opening " + path, func() error {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					return err
				}
				return f.Close()
			}})
		}
	}
	return all
}

func hostname(facts) outcome {
	return none(
		attempt{"the host name", func() error { return unix.Sethostname([]byte("hostile")) }},
		attempt{"the domain name", func() error { return unix.Setdomainname([]byte("hostile")) }},
	)
}
