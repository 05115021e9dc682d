package wasm

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor/wasm/control"
)

// shelf is a cache without an executor around it, whose modules' machine code is
// 1000 bytes each.
type shelf struct {
	*testing.T
	*Executor
}

func newShelf(t *testing.T) shelf {
	t.Helper()
	s := shelf{t, &Executor{cfg: Config{Dir: t.TempDir()}.withDefaults(), machine: "this"}}
	require.NoError(t, s.clean())
	return s
}

// add puts a module there that was used so many hours ago.
func (s shelf) add(name string, hours int) {
	s.Helper()
	entry := filepath.Join(s.cache(), name)
	code := filepath.Join(entry, codeDir)
	require.NoError(s, os.MkdirAll(code, 0o700))
	require.NoError(s, os.WriteFile(filepath.Join(code, "machine"), make([]byte, 1000), 0o600))
	sum, err := sumOf(control.Verdict{}, code)
	require.NoError(s, err)
	require.NoError(s, control.Put(entry, verdictFile, kept{Sum: sum}))
	used := time.Now().Add(-time.Duration(hours) * time.Hour)
	require.NoError(s, os.Chtimes(entry, used, used))
}

// keeps evicts, and checks what is left.
func (s shelf) keeps(most int64, count int, want ...string) {
	s.Helper()
	require.NoError(s, s.evict(most, count))
	left, err := os.ReadDir(s.cache())
	require.NoError(s, err)
	var names []string
	for _, l := range left {
		names = append(names, l.Name())
	}
	require.Equal(s, want, names)
	waste, err := os.ReadDir(s.waste())
	require.NoError(s, err)
	require.Empty(s, waste)
}

func TestTheLongestUnusedMachineCodeGoesFirst(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for name, hours := range map[string]int{"a": 3, "b": 1, "c": 4, "d": 2} {
		s.add(name, hours)
	}
	const much = 1 << 30
	s.keeps(much, 4, "a", "b", "c", "d")
	s.keeps(much, 3, "a", "b", "d")

	_, err := s.copyOut(filepath.Join(s.cache(), "a"), filepath.Join(t.TempDir(), "box"))
	require.NoError(t, err)
	s.keeps(much, 2, "a", "b") // it was used just now

	entries, err := listEntries(s.cache())
	require.NoError(t, err)
	require.Greater(t, entries[0].size, int64(1000), "code and verdict")
	s.keeps(entries[0].size+entries[1].size, 2, "a", "b")
	s.keeps(entries[0].size+entries[1].size-1, 2, "a")
	s.keeps(much, 0)
}

// Machine code of another sandbox, or for another processor, is of no use here.
func TestMachineCodeOfOtherBuildsGoes(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.add("a", 1)
	s.machine = "another"
	require.NoError(t, s.clean())
	s.keeps(1<<30, 10)
	require.NoDirExists(t, filepath.Join(s.cfg.Dir, "cache", "this"))
}
