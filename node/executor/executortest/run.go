package executortest

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

// log reads the whole log of an ended execution from offset.
func (b *bench) log(x executor.Execution, offset int64) string {
	r, err := x.Log(b.ctx(), offset)
	require.NoError(b, err)
	raw, err := io.ReadAll(r)
	require.NoError(b, err)
	require.NoError(b, r.Close())
	return string(raw)
}

func exitCode(b *bench) {
	for arg, code := range map[string]int{"0": 0, "1": 1, "42": 42, "255": 255} {
		x, r, _ := b.run(b.spec("exit", arg))
		require.Equal(b, executor.Exited, r.Cause, r.Detail)
		require.Equal(b, code, r.ExitCode)
		require.Positive(b, r.Ran)
		u := x.Usage()
		require.False(b, u.Running)
		require.Equal(b, r.Ran, u.Ran)
		require.Positive(b, u.Memory)
	}
}

func environment(b *bench) {
	s := b.spec("show", "a b", "", `"c"`)
	s.Env = map[string]string{"Z": "last", "A": "x=y"}
	_, r, log := b.run(s)
	require.Equal(b, executor.Exited, r.Cause)
	lines := strings.SplitAfter(log, "\n")
	slices.Sort(lines) // stdout and stderr may overtake each other
	require.Equal(b, []string{"", "args [\"a b\" \"\" \"\\\"c\\\"\"]\n", "env A=x=y\n", "env Z=last\n", "to stderr\n"}, slices.DeleteFunc(lines, func(line string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "env "), "=")
		return slices.Contains(b.subject.Environ, name)
	}))
}

func inputsOutputs(b *bench) {
	s := b.spec("copy", "/data/set/deep/b.txt", "/result/x/y")
	s.Inputs = []executor.Input{
		{At: "/in/one", CID: b.src.File(b, []byte("one"))},
		{At: "/data/set", CID: b.src.Folder(b, map[string][]byte{"a": []byte("a"), "deep/b.txt": []byte("bee")})},
	}
	s.Outputs = "/result"
	x, r, log := b.run(s)
	require.Equal(b, executor.Exited, r.Cause)
	require.Zero(b, r.ExitCode, log)
	raw, err := os.ReadFile(filepath.Join(x.OutputDir(), "x", "y"))
	require.NoError(b, err)
	require.Equal(b, "bee", string(raw))

	none, r, _ := b.run(b.spec("copy", "/in/one", "/result/y"))
	require.NotZero(b, r.ExitCode, "inputs of another execution")
	require.Empty(b, none.OutputDir())
}

// nowOf runs the guest that looks at all that could differ.
func (b *bench) nowOf(realTime bool) string {
	s := b.spec("now", "/out")
	s.Inputs = []executor.Input{{At: "/in", CID: b.src.Folder(b, map[string][]byte{"b": nil, "a": nil, "c/d": []byte("d")})}}
	s.Outputs, s.RealTime = "/out", realTime
	x, r, log := b.run(s)
	require.Equal(b, executor.Exited, r.Cause)
	require.Zero(b, r.ExitCode, log)
	raw, err := os.ReadFile(filepath.Join(x.OutputDir(), "now"))
	require.NoError(b, err)
	return string(raw)
}

func deterministic(b *bench) {
	require.Equal(b, b.nowOf(false), b.nowOf(false))
	_, r, _ := b.run(b.spec("sleep", "3600000"))
	require.Equal(b, executor.Exited, r.Cause, "a deterministic job's sleep takes no time")
	require.Less(b, r.Ran, patience)
}

func realTime(b *bench) {
	begin := time.Now()
	line, _, _ := strings.Cut(b.nowOf(true), "\n")
	require.GreaterOrEqual(b, time.Since(begin), 300*time.Millisecond)
	other, _, _ := strings.Cut(b.nowOf(true), "\n")
	require.NotEqual(b, line, other)
}

func trap(b *bench) {
	_, r, _ := b.run(b.spec("trap"))
	require.NotEqual(b, executor.Failed, r.Cause, "it is the job's own doing")
	require.True(b, r.Cause != executor.Exited || r.ExitCode != 0)
}

// ownTree is what a guest with a tree of its own may do there.
var ownTree = regexp.MustCompile(`(?m)^(made a (hard )?link to .*|wrote .*/tmp/new)\n`)

func hostilePaths(b *bench) {
	s := b.spec("paths", "/out")
	s.Inputs = []executor.Input{{At: "/in/file", CID: b.src.File(b, []byte("input"))}}
	s.Outputs = "/out"
	x, r, log := b.run(s)
	require.Equal(b, executor.Exited, r.Cause, r.Detail)
	if b.subject.System {
		log = ownTree.ReplaceAllString(log, "")
	}
	require.Equal(b, "tried\n", log)
	left, err := os.ReadDir(x.OutputDir())
	require.NoError(b, err)
	require.Empty(b, left)
}

func badSpecs(b *bench) {
	file := b.src.File(b, []byte("x"))
	at := func(paths ...string) func(*executor.Spec) {
		return func(s *executor.Spec) {
			for _, p := range paths {
				s.Inputs = append(s.Inputs, executor.Input{At: p, CID: file})
			}
		}
	}
	bad := map[string]func(*executor.Spec){
		"relative":     at("in/x"),
		"climbs":       at("/in/../../x"),
		"root":         at("/"),
		"slash at end": at("/in/"),
		"twice":        at("/in/x", "/in/x"),
		"inside":       at("/in", "/in/x"),
		"zero byte":    at("/in/x\x00"),
		"outputs":      func(s *executor.Spec) { s.Outputs = "/../out" },
		"outputs root": func(s *executor.Spec) { s.Outputs = "/" },
		"no memory":    func(s *executor.Spec) { s.Limits.Memory = 0 },
		"no time":      func(s *executor.Spec) { s.Limits.Time = -time.Second },
		"no disk":      func(s *executor.Spec) { s.Limits.Disk = 0 },
		"no log":       func(s *executor.Spec) { s.Limits.Log = 0 },
		"env name":     func(s *executor.Spec) { s.Env = map[string]string{"A=B": "c"} },
		"env zero":     func(s *executor.Spec) { s.Env = map[string]string{"A": "c\x00"} },
		"arg zero":     func(s *executor.Spec) { s.Args = []string{"a\x00b"} },
		"no input":     func(s *executor.Spec) { s.Inputs = []executor.Input{{At: "/in", CID: cid.Undef}} },
	}
	for name, spoil := range bad {
		s := b.spec("exit", "0")
		spoil(&s)
		_, err := b.exec.Prepare(b.ctx(), s)
		var fault *executor.JobError
		require.ErrorAs(b, err, &fault, name)
		require.NotEmpty(b, fault.Reason)
	}
	for _, id := range []string{"", "..", "a/b", "UPPER", strings.Repeat("a", 200)} {
		s := b.spec("exit", "0")
		s.ID = id
		_, err := b.exec.Prepare(b.ctx(), s)
		require.Error(b, err, id)
	}
	found, err := filepath.Glob(filepath.Join(b.dir, "jobs", "*"))
	require.NoError(b, err)
	require.Empty(b, found, "a refused job leaves nothing")
}
