package docker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
)

// message is one of the daemon's log.
type message struct {
	stream byte
	at     int // counts as nanoseconds
	text   string
}

func frames(messages []message) []byte {
	var b []byte
	for _, m := range messages {
		text := fmt.Sprintf("2026-01-02T03:04:05.%09dZ %s", m.at, m.text)
		b = append(b, m.stream, 0, 0, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	return b
}

func textOf(messages []message) (all string) {
	for _, m := range messages {
		all += m.text
	}
	return all
}

func opened(t require.TestingT, dir string, limit int64) *journal {
	j := newJournal(dir, limit)
	require.NoError(t, j.open())
	return j
}

func read(t require.TestingT, j *journal) string {
	raw, err := os.ReadFile(j.path)
	require.NoError(t, err)
	require.Equal(t, j.size(), int64(len(raw)))
	return string(raw)
}

// However often a node is killed, and wherever in a message or before a mark,
// no byte is lost or doubled.
func TestLogGoesOnWhereItEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "souk-journal-")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		at := 0
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) message {
			// Pieces of one line have one time, and the other stream's come between.
			at += rapid.IntRange(0, 1).Draw(t, "later")
			return message{rapid.ByteRange(1, 2).Draw(t, "stream"), at, rapid.StringN(0, 6, 12).Draw(t, "text") + "\n"}
		}), 1, 40).Draw(t, "log")
		for range rapid.IntRange(1, 6).Draw(t, "kills") {
			j := opened(t, dir, 1<<20)
			part := frames(all)
			part = part[:rapid.IntRange(0, len(part)).Draw(t, "seen")]
			_, _ = newCopier(j).copy(bufio.NewReaderSize(bytes.NewReader(part), rapid.IntRange(16, 64).Draw(t, "buffer")))
			if j.size() > 0 { // killed in the middle of a write
				at, length := j.position()
				require.NoError(t, os.Truncate(j.path, rapid.Int64Range(at.offset, length).Draw(t, "written")))
			}
			j.close()
		}
		j := opened(t, dir, 1<<20)
		defer j.close()
		full, err := newCopier(j).copy(bufio.NewReader(bytes.NewReader(frames(all))))
		require.NoError(t, err)
		require.False(t, full)
		require.Equal(t, textOf(all), read(t, j))
	})
}

func TestLogIsCutOnce(t *testing.T) {
	dir := t.TempDir()
	all := []message{{1, 1, "0123456789\n"}, {1, 2, "0123456789\n"}, {1, 3, "more\n"}}
	j := opened(t, dir, 15)
	full, err := newCopier(j).copy(bufio.NewReader(bytes.NewReader(frames(all))))
	require.NoError(t, err)
	require.True(t, full)
	const want = "0123456789\n0123\n[souk: log cut, it reached its limit of 15 bytes]\n"
	require.Equal(t, want, read(t, j))
	j.close()
	for _, killed := range []int{16, 20, len(want) - 1, len(want)} { // in the middle of the notice
		require.NoError(t, os.Truncate(j.path, int64(killed)))
		j = opened(t, dir, 15)
		full, err = j.resume()
		require.NoError(t, err)
		require.True(t, full)
		require.Equal(t, want, read(t, j))
		j.close()
	}
}

func TestLogSaysWhatTheDaemonLost(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir, 1<<10)
	_, err := newCopier(j).copy(bufio.NewReader(bytes.NewReader(frames([]message{{1, 1, "a\n"}, {1, 2, "b\n"}}))))
	require.NoError(t, err)
	_, err = newCopier(j).copy(bufio.NewReader(bytes.NewReader(frames([]message{{1, 7, "later\n"}, {1, 8, "last\n"}}))))
	require.NoError(t, err)
	require.Regexp(t, `^a\nb\n\n\[souk: the log after .* was lost while the node was away\]\nlater\nlast\n$`, read(t, j))
	j.close()
}

// The daemon's local driver breaks long lines into pieces and loses their ends.
func TestLongLinesKeepTheirEnds(t *testing.T) {
	long := strings.Repeat("x", pieceBytes)
	j := opened(t, t.TempDir(), 1<<20)
	defer j.close()
	_, err := newCopier(j).copy(bufio.NewReader(bytes.NewReader(frames([]message{
		{1, 1, "a\n"}, {1, 2, long}, {1, 2, long}, {2, 3, "err\n"}, {1, 2, "rest"}, {1, 4, "b\n"}, {1, 5, long}, {1, 5, ""}, {1, 6, "no end"},
	}))))
	require.NoError(t, err)
	require.Equal(t, "a\n"+long+long+"err\nrest\nb\n"+long+"\nno end", read(t, j))
}

func FuzzDaemonLog(f *testing.F) {
	f.Add(frames([]message{{1, 1, "a\n"}, {2, 2, "b"}}))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzztest.Bound(t)
		j := opened(t, t.TempDir(), 100)
		defer j.close()
		_, _ = newCopier(j).copy(bufio.NewReader(bytes.NewReader(raw)))
		require.LessOrEqual(t, j.size(), int64(200))
	})
}
