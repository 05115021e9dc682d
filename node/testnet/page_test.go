package testnet_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is docs/complaints.md: the lines of each section's blocks, under its title.
type page map[string][]string

func readPage(t *testing.T) page {
	t.Helper()
	text, err := os.ReadFile("../../docs/complaints.md")
	require.NoError(t, err)
	p := page{}
	for section := range strings.SplitSeq("\n"+string(text), "\n## ") {
		title, body, _ := strings.Cut(section, "\n")
		for i, block := range strings.Split(body, "\n```") {
			if i%2 == 1 {
				p[title] = append(p[title], strings.Split(strings.TrimSpace(block), "\n")...)
			}
		}
	}
	return p
}

// shows checks that a user sees each line that a section has, in its order.
func (p page) shows(t *testing.T, title, seen string) {
	t.Helper()
	t.Logf("%s:\n%s", title, seen)
	require.NotEmpty(t, p[title], "docs/complaints.md doesn't show what is seen of it: %s", title)
	rest := strings.Split(seen, "\n")
	for _, line := range p[title] {
		i := slices.IndexFunc(rest, func(s string) bool { return sameLine(line, s) })
		require.GreaterOrEqual(t, i, 0, "docs/complaints.md, %s, shows what isn't seen, or not there:\n%s\nof what comes then:\n%s", title, line, strings.Join(rest, "\n"))
		rest = rest[i+1:]
	}
}

// sameLine tells whether a user sees a line of the page, whatever the numbers
// of that day. A command may have more flags than the page shows.
func sameLine(shown, seen string) bool {
	if typed, ok := strings.CutPrefix(shown, "$ "); ok {
		words, isCommand := strings.CutPrefix(seen, "$ ")
		return isCommand && inOrder(strings.Fields(shape(typed)), strings.Fields(shape(words)))
	}
	return shape(shown) == shape(seen)
}

func inOrder(words, among []string) bool {
	for _, word := range words {
		i := slices.Index(among, word)
		if i < 0 {
			return false
		}
		among = among[i+1:]
	}
	return true
}

// shapes are what differs from day to day, and what stands for it; exit codes and
// numbers of executions are not among it.
var shapes = []struct {
	of *regexp.Regexp
	is string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`…[1-9A-Za-z]{10}\b`), "PEER"},
	{regexp.MustCompile(`\b16Uiu2HA\w+…?`), "PEER"},
	{regexp.MustCompile(`\b[0-9a-f]{10}([0-9a-f]{6})?\b`), "ID"},
	{regexp.MustCompile(`\b\d+(\.\d+)?[kMG]\b`), "SPEED"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(ms|s|m|h))+\b`), "SPAN"},
	{regexp.MustCompile(`\b\d+\.\d+\b`), "AMOUNT"},
	{regexp.MustCompile(`\b\d+ (receipt|lease|byte)s?\b`), "N ${1}s"},
	{regexp.MustCompile(`  \d+  `), " N "}, // in a table
	{regexp.MustCompile(`\s+`), " "},
}

func shape(line string) string {
	for _, s := range shapes {
		line = s.of.ReplaceAllString(line, s.is)
	}
	return strings.TrimSpace(line)
}

// seen is what a command shows on a screen, below what was typed.
func (c *command) seen() string {
	typed := "$ souk " + strings.Join(c.args[2:], " ") // without the data directory
	return strings.ReplaceAll(typed+"\n"+c.out.String()+c.err.String(), built.dir+string(filepath.Separator), "")
}

// What the page may show for what is seen, and what not.
func TestThePagesLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shown, seen string
		same        bool
	}{
		{"execution 1 on …QeEQVXf8Gx at 0.0504/h, lease f56d67c466", "execution 1 on …anY2EjxGih at 1.80/h, lease b5f6752e67", true},
		{"execution 1 on …QeEQVXf8Gx at 0.0504/h, lease f56d67c466", "execution 2 on …QeEQVXf8Gx at 0.0504/h, lease f56d67c466", false},
		{"done, exit code 5, spent 0.003106 USD", "done, exit code 5, spent 0.01 USD", true},
		{"done, exit code 5, spent 0.003106 USD", "done, exit code 0, spent 0.003106 USD", false},
		{"it could not be reached for 18s", "it could not be reached for 1m2.5s", true},
		{"…QeEQVXf8Gx  wasm  31.9M  5  0 of 1 free now", "…anY2EjxGih  wasm   9M  12   0 of 1 free now", true},
		{"…QeEQVXf8Gx  wasm  31.9M  5  0 of 1 free now", "…QeEQVXf8Gx  wasm  31.9M  5  1 of 1 free now", false},
		{"$ souk run --gpu A -- a.wasm", "$ souk run -y --gpu A --time 1s -- a.wasm -exit 3", true},
		{"$ souk run --gpu A -- a.wasm", "$ souk run -y --gpu B -- a.wasm", false},
		{"$ souk run --gpu A", "souk run --gpu A", false},
	} {
		require.Equal(t, c.same, sameLine(c.shown, c.seen), "%s\n%s", c.shown, c.seen)
	}
}
