package docker

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"souk/node/executor"
)

func reader(s string) io.Reader { return strings.NewReader(s) }

func must(t *testing.T, answer string) string {
	id, err := loadedID(reader(answer), "other")
	require.NoError(t, err)
	return id
}

func TestTidyFollowsNoLink(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "kept"), nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "file"), nil, 0o600))
	for _, link := range []string{"link", "a/link", "a/b/link"} {
		require.NoError(t, os.Symlink(outside, filepath.Join(dir, link)))
	}
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "a", "pipe"), 0o600))
	deep := filepath.Join(dir, strings.Repeat("d/", maxDepth+10))
	require.NoError(t, os.MkdirAll(deep, 0o700))
	n, err := tidy(dir)
	require.NoError(t, err)
	require.Equal(t, 5, n, "three links, a pipe and what is too deep")
	require.FileExists(t, filepath.Join(outside, "kept"))
	require.FileExists(t, filepath.Join(dir, "a", "file"))
	require.NoFileExists(t, filepath.Join(dir, "a", "pipe"))
	n, err = tidy(filepath.Join(dir, "none"))
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		e      exit
		killed executor.Cause
		disk   bool
		want   executor.Cause
		code   int
	}{
		"exited":                    {e: exit{code: 3}, want: executor.Exited, code: 3},
		"out of memory":             {e: exit{code: 137, oom: true}, want: executor.LimitMemory},
		"a child was out of memory": {e: exit{code: 0, oom: true}, want: executor.Exited},
		"killed":                    {e: exit{code: 137}, killed: executor.LimitTime, want: executor.LimitTime},
		"ended before the kill":     {e: exit{code: 1}, killed: executor.Stopped, want: executor.Exited, code: 1},
		"killed itself":             {e: exit{code: 137}, want: executor.Exited, code: 137},
		"full disk":                 {e: exit{code: 0}, disk: true, want: executor.LimitDisk},
		"daemon went":               {e: exit{code: 137, lost: true}, want: executor.Failed},
		"daemon went while killing": {e: exit{lost: true}, killed: executor.Stopped, want: executor.Stopped},
	} {
		cause, code, _ := verdict(c.e, c.killed, c.disk)
		require.Equal(t, c.want, cause, name)
		require.Equal(t, c.code, code, name)
	}
}

func TestValidate(t *testing.T) {
	good := func() executor.Spec {
		return executor.Spec{
			ID: "a1", Owner: "o", Image: &executor.Image{Ref: "x/y@sha256:" + strings.Repeat("0", 64)},
			Limits: executor.Limits{Memory: 64 << 20, Disk: 1, Log: 1, Time: 1},
		}
	}
	require.NoError(t, validate(good()))
	for name, spoil := range map[string]func(*executor.Spec){
		"no image":      func(s *executor.Spec) { s.Image = nil },
		"empty image":   func(s *executor.Spec) { s.Image = &executor.Image{} },
		"in proc":       func(s *executor.Spec) { s.Outputs = "/proc/x" },
		"dev itself":    func(s *executor.Spec) { s.Outputs = "/dev" },
		"hook variable": func(s *executor.Spec) { s.Env = map[string]string{"LD_PRELOAD": "x"} },
		"all devices":   func(s *executor.Spec) { s.Env = map[string]string{"NVIDIA_VISIBLE_DEVICES": "all"} },
		"little memory": func(s *executor.Spec) { s.Limits.Memory = 1 << 20 },
	} {
		s := good()
		spoil(&s)
		var fault *executor.JobError
		require.ErrorAs(t, validate(s), &fault, name)
	}
}
