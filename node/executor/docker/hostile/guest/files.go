//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func files() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"own-program":  ownProgram,
		"leaked-files": leakedFiles,
		"machine-file": machineFile,
		"environment":  environment,
	}
}

// ownProgram overwrites whatever runs the container through /proc, which once
// replaced runc itself (CVE-2019-5736).
func ownProgram(facts) outcome {
	var all []attempt
	for _, path := range []string{"/proc/self/exe", "/proc/1/exe", "/proc/thread-self/exe", "/hostile"} {
		all = append(all, attempt{"opening " + path + " for writing", func() error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			return f.Close()
		}})
	}
	return none(append(all, attempt{"seeing runc's program", func() error {
		target, err := os.Readlink("/proc/1/exe")
		if err != nil {
			return err
		}
		if strings.Contains(target, "runc") || strings.Contains(target, "runsc") {
			return nil
		}
		return fmt.Errorf("it is %s", target)
	}})...)
}

// leakedFiles looks for descriptors left open by whoever made the container, and a
// working directory outside its root (CVE-2024-21626).
func leakedFiles(facts) outcome {
	if dir, err := unix.Getwd(); err != nil || strings.HasPrefix(dir, "(unreachable)") {
		return escaped("the working directory is outside: %s %v", dir, err)
	}
	found, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return broken("its own descriptors: %v", err)
	}
	var all []attempt
	for _, d := range found {
		path := "/proc/self/fd/" + d.Name()
		target, err := os.Readlink(path)
		if err != nil || !strings.HasPrefix(target, "/") || target == "/dev/null" || strings.HasPrefix(target, "/proc/") {
			continue
		}
		all = append(all, attempt{fmt.Sprintf("a descriptor of %s", target), func() error {
			_, err := os.ReadDir(path + "/../../../../..")
			return err
		}})
	}
	for fd := 3; fd < 64; fd++ {
		all = append(all, attempt{fmt.Sprintf("descriptor %d as a folder", fd), func() error {
			_, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d/../../../../etc", fd))
			return err
		}})
	}
	return none(all...)
}

// machineFile reads a file of the machine by every path that leads there.
func machineFile(f facts) outcome {
	var all []attempt
	for _, prefix := range []string{
		"", "/proc/1/root", "/proc/self/root", "/proc/1/cwd/../../../../..", "/proc/self/cwd/../../../../..", "/host", "/rootfs", "/mnt",
		"/out/../../../../../..", "/inputs/../../../../../..", "/proc/2/root", "/link/../../../..",
	} {
		all = append(all, attempt{"reading " + prefix + f.File, func() error { _, err := os.ReadFile(prefix + f.File); return err }})
	}
	return none(append(all, attempt{"a file in a parent of the root", func() error {
		matches, err := filepath.Glob("/../*/hostile-canary*")
		if err == nil && len(matches) == 0 {
			return os.ErrNotExist
		}
		return err
	}})...)
}

// environment says what it was told: nothing of the node's own environment.
func environment(facts) outcome {
	expected := []string{"PATH", "HOSTNAME", "HOME", "HOSTILE_FACTS", "TERM", "FROM_JOB", "FROM_IMAGE", "LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "TMPDIR"}
	for _, source := range []string{"/proc/self/environ", "/proc/1/environ"} {
		b, err := os.ReadFile(source)
		if errors.Is(err, fs.ErrPermission) && source != "/proc/self/environ" {
			continue
		}
		if err != nil {
			return broken("%s: %v", source, err)
		}
		for entry := range strings.SplitSeq(strings.TrimRight(string(b), "\x00"), "\x00") {
			name, _, _ := strings.Cut(entry, "=")
			if !slices.Contains(expected, name) {
				return escaped("the environment has %s", entry)
			}
		}
	}
	return contained("only what job and image set is in the environment")
}
