package wire

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/protocol/pb"
)

// comes has a stream of a peer wait in a doorway.
func comes(t *testing.T, door *doorway, from peer.ID) *rawStream {
	raw, _ := newRaw(t)
	raw.conn.remote = from
	door.enter(NewStream(t.Context(), raw))
	return raw
}

// Peers that open streams and say nothing push out their own, not that of one
// who opened a single stream, however long ago.
func TestTheLargestCrowdMakesRoomForNewcomers(t *testing.T) {
	var door doorway
	patient, first, second := comes(t, &door, "patient"), comes(t, &door, "crowd"), comes(t, &door, "crowd")
	var others []*rawStream
	for range (MaxOpening - 4) / 2 {
		comes(t, &door, "crowd")
		others = append(others, comes(t, &door, "others"))
	}
	others = append(others, comes(t, &door, "others"))
	require.Len(t, door.waiting, MaxOpening)
	require.False(t, first.wasReset())

	newcomer := comes(t, &door, "newcomer")
	require.True(t, first.wasReset())
	require.Equal(t, network.StreamResourceLimitExceeded, first.code, "it may come again")
	require.False(t, second.wasReset())
	comes(t, &door, "newcomer")
	require.True(t, second.wasReset() || others[0].wasReset(), "as many of one as of the other: the oldest of either")
	for _, s := range append(others[1:], patient, newcomer) {
		require.False(t, s.wasReset())
	}
	require.Len(t, door.waiting, MaxOpening)
}

// A stream whose first frame was read takes nobody's place, and nor does one that ended.
func TestAStreamWaitsUntilItsFirstFrame(t *testing.T) {
	d, _ := newTestDispatcher()
	defer d.Close()
	raw, there := newRaw(t)
	send(t, there, frame(logOf(t, 20)), false)
	var door doorway
	d.serve(LeaseProtocol, raw, &door, plain, func(_ context.Context, s *Stream) error {
		require.Len(t, door.waiting, 1)
		require.NoError(t, s.Read(&pb.Log{}, MaxControl, IdleTimeout))
		require.Empty(t, door.waiting, "it has spoken")
		return nil
	})
	raw, there = newRaw(t)
	require.NoError(t, there.Close())
	d.serve(LeaseProtocol, raw, &door, plain, func(_ context.Context, s *Stream) error {
		require.Len(t, door.waiting, 1)
		return s.Read(&pb.Log{}, MaxControl, IdleTimeout)
	})
	require.Empty(t, door.waiting, "it has ended")
}

// waitTogether has n streams wait at once, each of another peer.
func waitTogether(t *testing.T, n int64) error {
	var door doorway
	pushedOut := 0
	for i := range n {
		raw, _ := newRaw(t)
		raw.conn.remote = peer.ID(rune(i))
		if door.add(NewStream(t.Context(), raw)) != nil {
			pushedOut++
		}
	}
	return limittest.Refused(pushedOut == 0)
}
