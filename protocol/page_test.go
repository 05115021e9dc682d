package protocol

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is docs/spec.md, in lines.
type page []string

func spec(t *testing.T) page {
	t.Helper()
	text, err := os.ReadFile("../docs/spec.md")
	require.NoError(t, err)
	return strings.Split(string(text), "\n")
}

// table gives the cells of the first table at or below the line that begins
// with place, without its head, and without what marks code.
func (p page) table(t *testing.T, place string) (rows [][]string) {
	t.Helper()
	at := -1
	for i, line := range p {
		if strings.HasPrefix(line, place) {
			at = i
			break
		}
	}
	require.GreaterOrEqual(t, at, 0, "the page has no line that begins with %q", place)
	for _, line := range p[at:] {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, cells(line))
		} else if len(rows) > 0 {
			break
		}
	}
	require.Greater(t, len(rows), 2, "there is no table at %q", place)
	return rows[2:]
}

func cells(line string) (out []string) {
	for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
		out = append(out, strings.ReplaceAll(strings.TrimSpace(c), "`", ""))
	}
	return out
}

// column is one column of a table.
func column(rows [][]string, n int) (out []string) {
	for _, r := range rows {
		out = append(out, r[n])
	}
	return out
}
