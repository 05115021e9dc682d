package device

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what a computer without any GPU has.
type Machine struct {
	CPUs     int    // cores that this process may use
	CPUModel string // as the operating system reports it
	Memory   int64  // bytes that this process may use, in use or not
	DiskFree int64  // bytes that this user may still write below the given folder
}

// ReadMachine asks the operating system; the disk is the one that dir is on.
// Limits of the control groups that the process runs in count, so a node in a
// container doesn't offer its neighbours' memory. What can't be read is zero,
// and the error says why.
func ReadMachine(dir string) (Machine, error) {
	m, err := readMachine(os.DirFS("/"), runtime.NumCPU())
	free, diskErr := diskFree(dir)
	if diskErr != nil {
		diskErr = fmt.Errorf("reading the free space of %s: %w", dir, diskErr)
	}
	m.DiskFree = free
	return m, errors.Join(err, diskErr)
}

func readMachine(root fs.FS, cpus int) (Machine, error) {
	groups := controlGroups(root)
	m := Machine{CPUs: cpus, CPUModel: cpuModel(root)}
	if quota := cpuQuota(root, groups); quota > 0 {
		m.CPUs = min(m.CPUs, quota)
	}
	total, err := memTotal(root)
	m.Memory = total
	for _, group := range groups {
		for _, name := range []string{"memory.max", "memory.limit_in_bytes"} {
			if limit := number(firstLine(root, path.Join(group, name))); limit > 0 {
				m.Memory = min(m.Memory, limit)
			}
		}
	}
	return m, err
}

func memTotal(root fs.FS) (int64, error) {
	field, found := procField(root, "proc/meminfo", "MemTotal")
	kib := number(strings.TrimSuffix(field, " kB"))
	if !found || kib <= 0 {
		return 0, errors.New("reading the size of memory: /proc/meminfo has no MemTotal")
	}
	return kib * 1024, nil
}

func cpuModel(root fs.FS) string {
	for _, field := range []string{"model name", "Model", "Hardware"} {
		if name, found := procField(root, "proc/cpuinfo", field); found && name != "" {
			return strings.Join(strings.Fields(name), " ")
		}
	}
	return runtime.GOARCH
}

// controlGroups lists the folders of this process's control groups and all
// their parents, of both versions, where they are mounted as usual.
func controlGroups(root fs.FS) []string {
	var folders []string
	for line := range lines(root, "proc/self/cgroup") {
		parts := strings.SplitN(line, ":", 3) // hierarchy:controllers:path
		if len(parts) != 3 {
			continue
		}
		mounts := []string{"sys/fs/cgroup"}
		if parts[1] != "" {
			mounts = mounts[:0]
			for _, controller := range strings.Split(parts[1], ",") {
				mounts = append(mounts, path.Join("sys/fs/cgroup", controller))
			}
		}
		for _, mount := range mounts {
			for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
				folders = append(folders, path.Join(mount, group))
				if group == "/" {
					break
				}
			}
		}
	}
	return folders
}

// cpuQuota is the least quota in whole cores, at least 1, or 0 for none.
func cpuQuota(root fs.FS, groups []string) int {
	least := int64(0)
	for _, group := range groups {
		quota, period, found := strings.Cut(firstLine(root, path.Join(group, "cpu.max")), " ")
		if !found {
			quota = firstLine(root, path.Join(group, "cpu.cfs_quota_us"))
			period = firstLine(root, path.Join(group, "cpu.cfs_period_us"))
		}
		q, p := number(quota), number(period)
		if q <= 0 || p <= 0 {
			continue
		}
		if cores := max(1, q/p); least == 0 || cores < least {
			least = cores
		}
	}
	return int(least)
}

func procField(root fs.FS, file, field string) (value string, found bool) {
	for line := range lines(root, file) {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

func firstLine(root fs.FS, file string) string {
	for line := range lines(root, file) {
		return strings.TrimSpace(line)
	}
	return ""
}

// lines reads a file of the kernel's; one that isn't there has none.
func lines(root fs.FS, file string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		f, err := root.Open(file)
		if err != nil {
			return
		}
		defer f.Close()
		for scanner := bufio.NewScanner(f); scanner.Scan(); {
			if !yield(scanner.Text()) {
				return
			}
		}
	}
}

// number is 0 for what is none, such as the "max" of a group without a limit.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
