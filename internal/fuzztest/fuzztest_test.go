package fuzztest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
)

// watched notes what Bound says of a test.
type watched struct {
	testing.TB
	end    func()
	failed bool
}

func (w *watched) Cleanup(f func())      { w.end = f }
func (w *watched) Errorf(string, ...any) { w.failed = true }

func TestWhatIsAllocatedIsCounted(t *testing.T) {
	var kept []byte
	for size, fails := range map[int]bool{fuzztest.MostBytes / 2: false, fuzztest.MostBytes + 1<<20: true} {
		w := &watched{TB: t}
		fuzztest.Bound(w)
		kept = make([]byte, size)
		w.end()
		require.Equal(t, fails, w.failed, size)
	}
	require.NotEmpty(t, kept)
}

// Every fuzz target measures what it allocates, in its first line.
func TestEveryTargetIsBounded(t *testing.T) {
	target := regexp.MustCompile(`(?m)^\s*f\.Fuzz\(func\(.*\) \{\n(.*)$`)
	found := 0
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "fuzztest" || strings.HasPrefix(d.Name(), ".")) && path != root:
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		all := target.FindAllStringSubmatch(string(text), -1)
		require.Len(t, all, strings.Count(string(text), "f.Fuzz("), "%s: a target in another form", path)
		for _, m := range all {
			found++
			require.Contains(t, m[1], "fuzztest.Bound(t)", path)
		}
		return nil
	}))
	require.GreaterOrEqual(t, found, 30)
}
