package main

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func reaching(names ...string) reach {
	r := reach{}
	for _, n := range names {
		r[n] = true
	}
	return r
}

func TestWhatIsPicked(t *testing.T) {
	t.Parallel()
	found := []input{
		{"knows nothing new", 1, reaching("seed")},
		{"one", 5, reaching("a")},
		{"two", 90, reaching("a", "b")},
		{"two, smaller", 80, reaching("a", "b")},
		{"another", 60, reaching("c")},
		{"a third", 70, reaching("d", "seed")},
	}
	for _, c := range []struct {
		name string
		left room
		want string
	}{
		{"all that is new, once", room{10, 1000}, "two, smaller; another; a third"},
		{"as many as there is room for", room{2, 1000}, "two, smaller; another"},
		{"as much as there is room for", room{10, 100}, "two, smaller"},
		{"what is too large leaves its room to others", room{10, 79}, "one; another"},
		{"nothing where there is no room", room{0, 1000}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var names []string
			for _, i := range pick(reaching("seed"), found, c.left) {
				names = append(names, i.name)
			}
			require.Equal(t, c.want, strings.Join(names, "; "))
		})
	}
}

func TestAProfileIsRead(t *testing.T) {
	t.Parallel()
	r, err := readProfile(strings.NewReader("mode: count\na.go:1.2,3.4 2 0\na.go:5.6,7.8 1 1\na.go:9.1,9.2 1 5\n"))
	require.NoError(t, err)
	require.Equal(t, reaching("a.go:5.6,7.8 1 1", "a.go:9.1,9.2 1 3"), r)
	_, err = readProfile(strings.NewReader("a.go:1.2,3.4 2 many\n"))
	require.ErrorContains(t, err, "many")
}

// What reaches more is kept, and kept but once; what is large or breaks the
// target is not, and nothing else is left in the package.
func TestWhatFuzzingFoundIsKept(t *testing.T) {
	dir := t.TempDir()
	write := func(path, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	found := filepath.Join(dir, "found")
	finds := func(name, input string) {
		write(filepath.Join(found, "decoder", "FuzzDecode", name), "go test fuzz v1\n[]byte("+strconv.Quote(input)+")\n")
	}
	for _, name := range []string{"go.mod", "decoder.go", "decoder_test.go"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
		require.NoError(t, err)
		write(filepath.Join(dir, name), string(text))
	}
	t.Chdir(dir)
	finds("seed", "a")
	finds("same", "ac")
	finds("more", "ab")
	finds("large", strings.Repeat("x", mostEach))

	kept := func() (names []string) {
		files, err := os.ReadDir("testdata/fuzz/FuzzDecode")
		require.NoError(t, err)
		for _, f := range files {
			names = append(names, f.Name())
		}
		return names
	}
	for _, says := range []string{"1 kept, 1 of them new", "1 kept, 0 of them new"} {
		var out strings.Builder
		require.NoError(t, run(t.Context(), []string{"-found", found, ".", "FuzzDecode"}, &out))
		require.Contains(t, out.String(), says)
		require.Equal(t, []string{"more"}, kept())
	}
	finds("breaks", "abcd")
	require.ErrorContains(t, run(t.Context(), []string{"-found", found, ".", "FuzzDecode"}, io.Discard), "input breaks of FuzzDecode")
	require.Equal(t, []string{"more"}, kept())
}
