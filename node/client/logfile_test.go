package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/protocol/wire"
)

// A log is what its provider sent, once and without a gap, whatever of it is sent
// again after a conversation broke off.
func TestALogIsPutTogether(t *testing.T) {
	const most = 10
	full := strings.Repeat("x", most+logSlack)
	type part struct {
		offset uint64
		data   string
	}
	for name, x := range map[string]struct {
		parts   []part // all but the last one are taken
		log     string
		added   int // of the last one
		refused bool
	}{
		"one after the other":  {parts: []part{{0, "abc"}, {3, "de"}}, log: "abcde", added: 2},
		"the same again":       {parts: []part{{0, "abc"}, {0, "abc"}}, log: "abc"},
		"a part of it again":   {parts: []part{{0, "abc"}, {1, "b"}}, log: "abc"},
		"its end again":        {parts: []part{{0, "abc"}, {1, "bcde"}}, log: "abcde", added: 2},
		"a gap":                {parts: []part{{0, "abc"}, {4, "e"}}, log: "abc", refused: true},
		"a gap at the start":   {parts: []part{{1, "b"}}, refused: true},
		"as long as may be":    {parts: []part{{0, full}}, log: full, added: len(full)},
		"too long":             {parts: []part{{0, full + "x"}}, refused: true},
		"too long, in parts":   {parts: []part{{0, full}, {uint64(len(full)), "x"}}, log: full, refused: true},
		"known and no longer":  {parts: []part{{0, full}, {1, full[1:]}}, log: full},
		"known but for a byte": {parts: []part{{0, full}, {1, full}}, log: full, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := &logFile{path: filepath.Join(t.TempDir(), "log")}
			before := x.parts[:len(x.parts)-1]
			for _, p := range before {
				_, err := l.append(p.offset, []byte(p.data), most)
				require.NoError(t, err)
			}
			last := x.parts[len(before)]
			added, err := l.append(last.offset, []byte(last.data), most)
			require.Equal(t, x.added, added)
			if x.refused {
				require.ErrorIs(t, err, wire.ErrMalformed)
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, l.close())
			require.EqualValues(t, len(x.log), l.size)
			if x.log == "" {
				require.NoFileExists(t, l.path)
				return
			}
			has, err := os.ReadFile(l.path)
			require.NoError(t, err)
			require.True(t, x.log == string(has), "%.20q", has)
		})
	}
}
