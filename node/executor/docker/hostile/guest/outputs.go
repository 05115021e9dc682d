//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func outputs() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"outputs-setuid":   outSetuid,
		"outputs-symlinks": outSymlinks,
		"outputs-special":  outSpecial,
		"outputs-names":    outNames,
		"outputs-deep":     outDeep,
		"outputs-locked":   outLocked,
		"outputs-replaced": outReplaced,
		"outputs-image":    func(facts) outcome { return written("/link/hostile-output") },
	}
}

func written(path string) outcome {
	if err := os.WriteFile(path, []byte("hostile\n"), 0o600); err != nil {
		return contained("writing %s: %v", path, err)
	}
	return contained("%s was written", path)
}

// outSetuid leaves programs that would make whoever runs them root.
func outSetuid(facts) outcome {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return broken("its own program: %v", err)
	}
	if err := os.WriteFile("/out/setuid", self[:4096], 0o755); err != nil {
		return broken("a program: %v", err)
	}
	_ = os.Lchown("/out/setuid", 0, 0)
	_ = os.Mkdir("/out/folder", 0o777)
	chmod := unix.Chmod("/out/setuid", 0o6777)
	_ = unix.Chmod("/out/folder", 0o7777)
	capability := unix.Setxattr("/out/setuid", "security.capability", []byte{
		1, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
	}, 0)
	return contained("setuid: %v, capabilities: %v", chmod, capability)
}

// outSymlinks leaves links that lead whoever follows them out of the outputs.
func outSymlinks(f facts) outcome {
	for name, target := range map[string]string{
		"file": f.File, "etc": "/etc", "up": "../../../../../../../..", "self": "/proc/self/environ",
		"root": "/proc/1/root", "loop": "loop", "dangling": "nowhere", "relative": strings.Repeat("../", 40) + f.File[1:],
	} {
		if err := os.Symlink(target, "/out/"+name); err != nil {
			return broken("a link: %v", err)
		}
	}
	return contained("links to the machine's files were left")
}

// outSpecial leaves what blocks or misleads whoever opens it.
func outSpecial(facts) outcome {
	if err := unix.Mkfifo("/out/fifo", 0o666); err != nil {
		return broken("a fifo: %v", err)
	}
	if l, err := net.Listen("unix", "/out/socket"); err == nil {
		l.(*net.UnixListener).SetUnlinkOnClose(false)
	}
	return none(
		attempt{"a character device", func() error { return unix.Mknod("/out/zero", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) }},
		attempt{"a block device", func() error { return unix.Mknod("/out/disk", unix.S_IFBLK|0o666, int(unix.Mkdev(254, 0))) }},
	)
}

// outNames leaves names that are hard to print, to store or to join.
func outNames(facts) outcome {
	names := []string{
		strings.Repeat("n", 255), "line\nbreak", "\x1b[2Jclear", "\xff\xfe\xfd", "...", ".. ", " ", "-rf", "..\\..\\up",
		"%2e%2e%2f", "con", "C:", "\u202ereversed", "a\x01b", "~", "*", "$(reboot)",
	}
	for _, name := range names {
		if err := os.WriteFile("/out/"+name, []byte(name), 0o600); err != nil {
			say("%q: %v", name, err)
		}
	}
	return contained("%d odd names were left", len(names))
}

// outDeep makes a path that is longer than any system call takes.
func outDeep(facts) outcome {
	if err := os.Chdir("/out"); err != nil {
		return broken("%v", err)
	}
	name := strings.Repeat("d", 200)
	for depth := range 2000 {
		if err := unix.Mkdir(name, 0o700); err != nil {
			return contained("depth %d: %v", depth, err)
		}
		if err := unix.Chdir(name); err != nil {
			return contained("depth %d: %v", depth, err)
		}
	}
	_ = os.WriteFile("bottom", []byte("x"), 0o600)
	return contained("folders 2000 deep were left")
}

// outLocked leaves what its owner can't read or remove.
func outLocked(facts) outcome {
	_ = os.MkdirAll("/out/shut/inner", 0o700)
	_ = os.WriteFile("/out/shut/inner/file", []byte("x"), 0o600)
	_ = os.WriteFile("/out/immutable", []byte("x"), 0)
	var immutable error
	if f, err := os.Open("/out/shut"); err == nil {
		immutable = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0x10)
		f.Close()
	}
	shut := []error{os.Chmod("/out/shut/inner/file", 0), os.Chmod("/out/shut/inner", 0), os.Chmod("/out/shut", 0), os.Chmod("/out", 0)}
	return contained("modes: %v, immutable: %v", shut, immutable)
}

// outReplaced tries to put something else where the outputs are collected.
func outReplaced(facts) outcome {
	return none(
		attempt{"removing the folder", func() error { return unix.Rmdir("/out") }},
		attempt{"renaming the folder", func() error { return os.Rename("/out", "/tmp/out") }},
		attempt{"a link in its place", func() error {
			_ = unix.Rmdir("/out")
			return os.Symlink("/etc", "/out")
		}},
		attempt{"mounting over it", func() error { return unix.Mount("/etc", "/out", "", unix.MS_BIND, "") }},
		attempt{"swapping it", func() error {
			return unix.Renameat2(unix.AT_FDCWD, "/out", unix.AT_FDCWD, "/tmp", unix.RENAME_EXCHANGE)
		}},
		attempt{"unmounting it", func() error { return unix.Unmount("/out", unix.MNT_DETACH) }},
		attempt{"writing beside it", func() error { return os.WriteFile("/out/../hostile", nil, 0o600) }},
		attempt{"its device", func() error { _, err := os.ReadDir(fmt.Sprintf("/out/%s", "../workspace")); return err }},
	)
}
