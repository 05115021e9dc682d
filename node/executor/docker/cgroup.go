package docker

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const cgroupRoot = "/sys/fs/cgroup"

// A container's cgroup goes away with its last process, and what a short job
// used with it. So where this process can, it has the container made below a
// cgroup of its own, which stays until Remove and counts for all below it.

// parentCgroup names a parent cgroup for an execution, or is empty where the
// daemon and this process don't see the same cgroups.
func parentCgroup(driver, node, id string) string {
	if driver != "cgroupfs" || os.Geteuid() != 0 {
		return ""
	}
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err != nil {
		if _, err := os.Stat(filepath.Join(cgroupRoot, "memory", "memory.max_usage_in_bytes")); err != nil {
			return ""
		}
	}
	return "souk-" + node + "-" + id
}

// cgroupUse is what was used below a parent cgroup; 0 is unknown.
func cgroupUse(name string) (cpu time.Duration, peak int64) {
	if name == "" {
		return 0, 0
	}
	if raw, err := os.ReadFile(filepath.Join(cgroupRoot, name, "cpu.stat")); err == nil {
		for line := range strings.Lines(string(raw)) {
			if us, ok := strings.CutPrefix(line, "usage_usec "); ok {
				cpu = time.Duration(number(us)) * time.Microsecond
			}
		}
		return cpu, readNumber(cgroupRoot, name, "memory.peak")
	}
	return time.Duration(readNumber(cgroupRoot, "cpuacct", name, "cpuacct.usage")), readNumber(cgroupRoot, "memory", name, "memory.max_usage_in_bytes")
}

func readNumber(parts ...string) int64 {
	raw, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		return 0
	}
	return number(string(raw))
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s), 10, 64) // what is no number is unknown, 0
	return n
}

// removeCgroup removes a parent cgroup from all hierarchies; the kernel keeps one that
// still holds a process.
func removeCgroup(name string) {
	if name == "" {
		return
	}
	found, _ := filepath.Glob(filepath.Join(cgroupRoot, "*", name)) // the pattern is sound
	for _, dir := range append(found, filepath.Join(cgroupRoot, name)) {
		_ = os.Remove(dir)
	}
}
