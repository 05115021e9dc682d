package hostile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	stdstrings "strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"souk/node/executor"
	"souk/node/executor/executortest"
	"souk/node/executor/wasm"
	"souk/node/executor/wasm/control"
)

// suite is one node's executor, and one more whose compiler has little time.
type suite struct {
	top          string // all that these tests may write is beneath
	src          *executortest.Source
	exec, bombed executor.Executor
	input        cid.Cid
	before       map[string]string // what of the machine must stay as it is
}

func newSuite(t *testing.T) *suite {
	s := &suite{top: t.TempDir(), src: &executortest.Source{}}
	s.input = s.src.Folder(t, map[string][]byte{"file": []byte("input")})
	s.exec = s.open(t, "node", 0)
	s.bombed = s.open(t, "bombed", 3*time.Second)
	require.NoError(t, os.WriteFile(filepath.Join(s.top, "secret"), []byte("secret"), 0o600))
	s.before = s.surroundings(t)
	return s
}

func (s *suite) open(t *testing.T, name string, compile time.Duration) executor.Executor {
	e, err := wasm.New(wasm.Config{
		Dir: filepath.Join(s.top, name), SandboxPath: sandbox, Source: s.src, Spares: 2, CompileTime: compile,
	})
	require.NoError(t, err)
	return e
}

func (s *suite) spec(t *testing.T, id string, h hostile) executor.Spec {
	spec := executor.Spec{
		ID: id, Owner: "owner", Outputs: outputs,
		Inputs: []executor.Input{{At: "/in", CID: s.input}},
		Module: s.src.File(t, h.raw),
		Limits: executor.Limits{CPU: 1, Memory: memoryLimit, Disk: diskLimit, Log: logLimit, Time: patience},
	}
	if h.adjust != nil {
		h.adjust(&spec)
	}
	return spec
}

// bystander is an honest job that runs all the while.
func (s *suite) bystander(t *testing.T) executor.Execution {
	spec := s.spec(t, "bystander", hostile{raw: run(forever(sys("sched_yield"), drop)).encode()})
	spec.Owner = "another"
	spec.Limits.Time = time.Hour
	x, err := s.exec.Prepare(t.Context(), spec)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	return x
}

// left says what is still there of an execution that was removed.
func (s *suite) left(id string) (wrong []string) {
	_ = filepath.WalkDir(s.top, func(path string, d fs.DirEntry, _ error) error {
		if stdstrings.HasSuffix(path, "/"+id) {
			wrong = append(wrong, path+" is left")
		}
		return nil
	})
	return wrong
}

// surroundings are the files around the executors' folders, with their contents.
func (s *suite) surroundings(t *testing.T) map[string]string {
	found := map[string]string{}
	entries, err := os.ReadDir(s.top)
	require.NoError(t, err)
	for _, e := range entries {
		raw, _ := os.ReadFile(filepath.Join(s.top, e.Name())) // of a folder the name is enough
		found[e.Name()] = string(raw)
	}
	for _, dir := range []string{"/", "/tmp", "/dev/shm", filepath.Dir(s.top)} {
		escaped, err := filepath.Glob(filepath.Join(dir, "escaped*"))
		require.NoError(t, err)
		for _, path := range escaped {
			found[path] = ""
		}
	}
	return found
}

// afterwards looks at the machine when all have ended and were removed.
func (s *suite) afterwards(t *testing.T) {
	require.Equal(t, s.before, s.surroundings(t), "nothing around was changed")
	x, err := s.exec.Prepare(t.Context(), s.spec(t, "next", hostile{raw: run(exit(i32(0))).encode()}))
	require.NoError(t, err, "the next job can be prepared")
	end, err := s.live(t.Context(), x)
	require.NoError(t, err)
	require.Equal(t, ok, end, "the next job runs")
	require.NoError(t, x.Remove())
	for _, e := range []executor.Executor{s.exec, s.bombed} {
		require.NoError(t, e.Close(false))
	}
	require.Empty(t, s.processes(t), "no process is left")
	require.NoError(t, filepath.WalkDir(s.top, func(path string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		require.NotContains(t, filepath.Base(path), "escaped")
		require.NotContains(t, filepath.Base(path), "hostile")
		return nil
	}))
}

// processes are those of this suite's sandboxes.
func (s *suite) processes(t *testing.T) (found []string) {
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	require.NoError(t, err)
	for _, exe := range all {
		if path, err := os.Readlink(exe); err == nil && stdstrings.TrimSuffix(path, " (deleted)") == sandbox {
			found = append(found, exe)
		}
	}
	return found
}

// strange are names in a workspace that no sandbox put there, and an input that
// was changed.
func strange(workspace string) (names []string) {
	known := []string{control.SpecFile, control.ResultFile, control.LogFile, control.SocketFile, control.RootDir, control.OutDir}
	entries, _ := os.ReadDir(workspace)
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			names = append(names, e.Name())
		}
	}
	if raw, _ := os.ReadFile(filepath.Join(workspace, control.RootDir, "in", "file")); string(raw) != "input" {
		names = append(names, "an input with other content")
	}
	return names
}

// weigh is how many bytes the files in dir take on disk.
func weigh(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			sum += st.Blocks * 512
		}
		return nil
	})
	return sum
}
