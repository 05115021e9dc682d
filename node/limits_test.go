package node_test

import (
	"bufio"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/limit"
	"souk/node"
	"souk/node/client"
	settings "souk/node/config"
	"souk/node/executor/docker"
	"souk/node/provider"
	"souk/protocol/market"
)

var update = flag.Bool("update", false, "write the limits into docs/spec.md anew")

func TestEveryPackagesLimitsAreInTheTableOnce(t *testing.T) {
	names, where := map[string]bool{}, map[string]bool{}
	for _, l := range node.Limits(settings.Config{}) {
		require.False(t, names[l.Name], "two limits are named %q", l.Name)
		require.NotEmpty(t, l.Beyond, l.Name)
		names[l.Name], where[l.Where] = true, true
	}
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return errorOrSkip(err)
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if strings.Contains(string(text), "\nfunc LimitRows() ") {
			dir, err := filepath.Rel(root, filepath.Dir(path))
			require.NoError(t, err)
			require.True(t, where[dir], "the limits of %s are not in the table", dir)
			require.Contains(t, tests(t, filepath.Dir(path)), "limittest.Run(", "nothing goes over the limits of %s", dir)
			delete(where, dir)
		}
		return nil
	}))
	require.Empty(t, where, "these packages have no limits of their own")
}

func errorOrSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

// tests is the text of all tests of a package.
func tests(t *testing.T, dir string) string {
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	var all strings.Builder
	for _, p := range paths {
		text, err := os.ReadFile(p)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

func TestTheConfigurationChangesALimit(t *testing.T) {
	loaded, err := settings.Load(settings.Sources{DataDir: t.TempDir()})
	require.NoError(t, err)
	five := market.NewAmount(5)
	changed := settings.Config{
		Docker:   settings.Docker{MaxImage: 5},
		Client:   settings.Client{CapPeer: five, CapTotal: five, LostAfter: 5 * time.Millisecond},
		Provider: settings.Provider{CapPeer: five, CapTotal: five},
	}
	for i, l := range node.Limits(settings.Config{}) {
		if l.Key == "" {
			require.Equal(t, l, node.Limits(changed)[i])
			continue
		}
		require.True(t, slices.ContainsFunc(loaded.Values, func(v settings.Value) bool { return v.Key == l.Key }), "no key is %s", l.Key)
		require.EqualValues(t, 5, node.Limits(changed)[i].Value, "%s changes nothing", l.Key)
	}
}

// Who changes nothing has the limits that the packages name.
func TestTheTableHasWhatTheConfigurationSaysByItself(t *testing.T) {
	loaded, err := settings.Load(settings.Sources{DataDir: t.TempDir()})
	require.NoError(t, err)
	table := map[string]int64{}
	for _, l := range node.Limits(loaded.Config) {
		table[l.Name] = l.Value
	}
	for _, l := range slices.Concat(client.LimitRows(), provider.LimitRows(), docker.LimitRows()) {
		require.Equal(t, l.Value, table[l.Name], l.Name)
	}
}

// The page for other implementations has what is part of the protocol, and it is right.
func TestTheSpecificationHasTheLimits(t *testing.T) {
	const page = "../docs/spec.md"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	before, after, found := strings.Cut(string(text), "\n## Limits\n")
	require.True(t, found)
	section, rest, found := strings.Cut(after, "\n## ")
	require.True(t, found)
	var want, has []string
	for _, l := range node.Limits(settings.Config{}) {
		if l.Wire {
			want = append(want, specRow(l))
		}
	}
	lines := bufio.NewScanner(strings.NewReader(section))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "| ") {
			has = append(has, lines.Text())
		}
	}
	const head = "| Limit | | Beyond it |"
	if *update {
		intro, _, _ := strings.Cut(section, "|")
		prose := section[strings.LastIndex(section, "|\n")+2:]
		made := intro + head + "\n|---|---|---|\n" + strings.Join(want, "\n") + "\n" + prose
		require.NoError(t, os.WriteFile(page, []byte(before+"\n## Limits\n"+made+"\n## "+rest), 0o600))
		return
	}
	require.Equal(t, append([]string{head}, want...), has, "`go test ./node -run Specification -update` writes the table anew")
}

func specRow(l limit.Limit) string { return "| " + l.Name + " | " + l.Text() + " | " + l.Beyond + " |" }
