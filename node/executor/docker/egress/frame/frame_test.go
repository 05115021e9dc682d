package frame_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/executor/docker/egress/frame"
)

func TestAHeaderSelectsAnEntryAndNothingElse(t *testing.T) {
	for entry := range frame.MaxEntries {
		var b bytes.Buffer
		require.NoError(t, frame.WriteHeader(&b, entry))
		require.Equal(t, []byte{'s', 'E', 1, byte(entry)}, b.Bytes()) //nolint:gosec // below MaxEntries
		got, err := frame.ReadHeader(&b, frame.MaxEntries)
		require.NoError(t, err)
		require.Equal(t, entry, got)
	}
	for _, entry := range []int{-1, frame.MaxEntries} {
		require.ErrorIs(t, frame.WriteHeader(io.Discard, entry), frame.ErrHeader)
	}
	for _, bad := range []string{"SE\x01\x00", "sE\x02\x00", "sE\x01\x02", "sE\x01\xff"} {
		from := bytes.NewBufferString(bad + "next")
		_, err := frame.ReadHeader(from, 2)
		require.ErrorIs(t, err, frame.ErrHeader, "%q", bad)
		require.Equal(t, "next", from.String(), "four bytes are read, whatever they are")
	}
	_, err := frame.ReadHeader(bytes.NewBufferString("sE\x01"), 2)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestAStatusArrivesAsItWasSent(t *testing.T) {
	for s := frame.Connected; s <= frame.Spent; s++ {
		var b bytes.Buffer
		require.NoError(t, frame.WriteStatus(&b, s))
		got, err := frame.ReadStatus(&b)
		require.NoError(t, err)
		require.Equal(t, s, got)
		require.NotContains(t, s.String(), "unknown")
	}
	require.Equal(t, "unknown status 99", frame.Status(99).String())
}
