package device

import (
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func kernel(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{
		"proc/meminfo": {Data: []byte("MemTotal:       16384000 kB\nMemFree:         1 kB\n")},
		"proc/cpuinfo": {Data: []byte("processor\t: 0\nmodel name\t: Some  CPU @ 3 GHz\nprocessor\t: 1\n")},
	}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestReadMachineHonoursControlGroups(t *testing.T) {
	for name, c := range map[string]struct {
		files  map[string]string
		cpus   int
		memory int64
	}{
		"none": {nil, 8, 16384000 << 10},
		"version 2, limits in a parent": {map[string]string{
			"proc/self/cgroup":           "0::/a/b\n",
			"sys/fs/cgroup/a/b/cpu.max":  "max 100000\n",
			"sys/fs/cgroup/a/cpu.max":    "250000 100000\n",
			"sys/fs/cgroup/a/memory.max": "1073741824\n",
			"sys/fs/cgroup/memory.max":   "max\n",
		}, 2, gib},
		"version 1": {map[string]string{
			"proc/self/cgroup": "4:memory:/job\n3:cpu,cpuacct:/job\n1:name=systemd:/job\n",
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "2147483648\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "9223372036854771712\n",
			"sys/fs/cgroup/cpu/job/cpu.cfs_quota_us":         "50000\n",
			"sys/fs/cgroup/cpu/job/cpu.cfs_period_us":        "100000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":             "-1\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us":            "100000\n",
		}, 1, 2 * gib},
		"nonsense": {map[string]string{
			"proc/self/cgroup":       "what\n0::../../..\n",
			"sys/fs/cgroup/cpu.max":  "-5 0\n",
			"sys/fs/cgroup/memory.x": "1\n",
		}, 8, 16384000 << 10},
	} {
		m, err := readMachine(kernel(c.files), 8)
		require.NoError(t, err, name)
		require.Equal(t, Machine{CPUs: c.cpus, CPUModel: "Some CPU @ 3 GHz", Memory: c.memory}, m, name)
	}
}

func TestReadMachineSaysWhatIsMissing(t *testing.T) {
	m, err := readMachine(fstest.MapFS{}, 4)
	require.ErrorContains(t, err, "MemTotal")
	require.Equal(t, 4, m.CPUs)
	require.Zero(t, m.Memory)

	_, err = ReadMachine(filepath.Join(t.TempDir(), "missing"))
	require.ErrorContains(t, err, "free space")
}

func TestThisMachineHasSomething(t *testing.T) {
	m, err := ReadMachine(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, m.CPUs)
	require.NotEmpty(t, m.CPUModel)
	require.Greater(t, m.Memory, int64(64<<20))
	require.Positive(t, m.DiskFree)
}
