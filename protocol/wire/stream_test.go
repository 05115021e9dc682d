package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
	"souk/protocol/pb"
)

// send writes raw bytes as the peer, and ends its side if end is true.
func send(t *testing.T, there net.Conn, raw []byte, end bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = there.Write(raw)
		if end {
			_ = there.Close()
		}
	}()
	t.Cleanup(func() { _ = there.Close(); <-done })
}

func frame(body []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(body))), body...) }

func TestFramesArriveAsTheyWereSent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		raw, there := newRaw(t)
		here := NewStream(t.Context(), raw)
		other := NewStream(t.Context(), &rawStream{pipe: there, scope: &rawScope{limit: MaxData}})
		sizes := rapid.SliceOfN(rapid.IntRange(0, 70_000), 1, 5).Draw(rt, "sizes")
		var wg sync.WaitGroup
		wg.Go(func() {
			for i, n := range sizes {
				_ = other.Write(&pb.Log{Offset: uint64(i), Data: make([]byte, n)})
			}
			_ = other.Close()
		})
		for i, n := range sizes {
			var got pb.Log
			require.NoError(rt, here.Read(&got, MaxData, IdleTimeout))
			require.Equal(rt, uint64(i), got.GetOffset())
			require.Len(rt, got.GetData(), n)
		}
		require.ErrorIs(rt, here.Read(&pb.Log{}, MaxData, IdleTimeout), io.EOF)
		wg.Wait()
		require.Zero(rt, raw.scope.held, "every reservation is given back")
		here.Reset()
	})
}

func TestWritersDoNotMixTheirFrames(t *testing.T) {
	raw, there := newRaw(t)
	s := NewStream(t.Context(), raw)
	other := NewStream(t.Context(), &rawStream{pipe: there, scope: &rawScope{limit: MaxData}})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for range 20 {
				_ = s.Write(&pb.Log{Offset: uint64(w), Data: bytes.Repeat([]byte{byte(w)}, 1000)})
			}
		})
	}
	for range 4 * 20 {
		var got pb.Log
		require.NoError(t, other.Read(&got, MaxData, IdleTimeout))
		require.Equal(t, bytes.Repeat([]byte{byte(got.GetOffset())}, 1000), got.GetData())
	}
	wg.Wait()
	require.NoError(t, s.Close())
	require.NoError(t, other.Close())
}

func TestBadFramesAreMalformedAndCostNoMemory(t *testing.T) {
	exact, err := proto.Marshal(&pb.Log{Data: make([]byte, 100)})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		raw      []byte
		want     error
		reserved int
	}{
		"exactly the cap":     {frame(exact), nil, len(exact)},
		"one over the cap":    {binary.AppendUvarint(nil, uint64(len(exact)+1)), ErrTooLarge, 0},
		"two to the 63":       {binary.AppendUvarint(nil, 1<<63), ErrTooLarge, 0},
		"a length for ever":   {bytes.Repeat([]byte{0x80}, 4096), ErrTooLarge, 0},
		"no message":          {frame([]byte{0xff, 0xff, 0xff}), ErrMalformed, 3},
		"cut in its length":   {[]byte{0x80}, ErrMalformed, 0},
		"cut before its body": {[]byte{50}, ErrMalformed, 50},
		"cut in its body":     {frame(exact)[:50], ErrMalformed, len(exact)},
		"no frame":            {nil, io.EOF, 0},
	} {
		t.Run(name, func(t *testing.T) {
			raw, there := newRaw(t)
			s := NewStream(t.Context(), raw)
			send(t, there, c.raw, true)
			err := s.Read(&pb.Log{}, len(exact), IdleTimeout)
			require.ErrorIs(t, err, c.want)
			require.Equal(t, c.reserved, raw.scope.most)
			require.Zero(t, raw.scope.held)
			s.Reset()
		})
	}
}

func TestAFrameWithoutMemoryIsNotMalformed(t *testing.T) {
	raw, there := newRaw(t)
	raw.scope.limit = 10
	s := NewStream(t.Context(), raw)
	send(t, there, []byte{50}, true)
	err := s.Read(&pb.Log{}, MaxControl, IdleTimeout)
	require.ErrorIs(t, err, errNoRoom)
	require.NotErrorIs(t, err, ErrMalformed)
	s.Reset()
}

func TestSlowPeersAreNotWaitedFor(t *testing.T) {
	body := frame(make([]byte, 20))
	for name, c := range map[string]struct {
		peer func(net.Conn)
		want time.Duration
	}{
		"says nothing":         {func(net.Conn) {}, 3 * time.Second},
		"stops after a byte":   {func(p net.Conn) { _, _ = p.Write(body[:1]) }, FrameTimeout},
		"sends a byte a while": {drip(body), FrameTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				raw, there := newRaw(t)
				s := NewStream(t.Context(), raw)
				var peer sync.WaitGroup
				peer.Go(func() { c.peer(there) })
				start := time.Now()
				err := s.Read(&pb.Log{}, MaxControl, 3*time.Second)
				require.ErrorIs(t, err, ErrSlow)
				require.Equal(t, c.want, time.Since(start))
				require.Zero(t, raw.scope.held)
				s.Reset()
				peer.Wait()
			})
		})
	}
}

// drip sends a byte every two seconds, so that each arrives in time alone.
func drip(raw []byte) func(net.Conn) {
	return func(p net.Conn) {
		for i := range raw {
			if _, err := p.Write(raw[i : i+1]); err != nil {
				return
			}
			<-time.After(2 * time.Second)
		}
	}
}

func TestAPeerThatReadsNothingIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw, _ := newRaw(t)
		s := NewStream(t.Context(), raw)
		start := time.Now()
		require.ErrorIs(t, s.Write(&pb.Log{}), ErrSlow)
		require.Equal(t, FrameTimeout, time.Since(start))
		s.Reset()
	})
}

func TestAContextsEndResetsTheStreamUntilItIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		open, _ := newRaw(t)
		closed, _ := newRaw(t)
		s := NewStream(ctx, open)
		require.NoError(t, NewStream(ctx, closed).Close())
		go cancel()
		require.Error(t, s.Read(&pb.Log{}, MaxControl, IdleTimeout))
		synctest.Wait()
		require.True(t, open.wasReset())
		require.False(t, closed.wasReset())
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{})
	f.Add(frame([]byte{0x08, 0x01, 0x12, 0x01, 'a'}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, in []byte) {
		fuzztest.Bound(t)
		raw, there := newRaw(t)
		s := NewStream(t.Context(), raw)
		send(t, there, in, true)
		for s.Read(&pb.RunEvent{}, 1000, IdleTimeout) == nil {
		}
		if raw.scope.most > 1000 || raw.scope.held != 0 {
			t.Fatalf("reserved %d, holds %d", raw.scope.most, raw.scope.held)
		}
		s.Reset()
	})
}
