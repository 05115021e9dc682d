package wire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/stretchr/testify/require"

	"souk/protocol/pb"
)

// soon is when what should happen at once has happened, on a busy machine.
const soon = 15 * time.Second

func newHost(t *testing.T, addr string, more ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append(more, libp2p.ListenAddrStrings(addr), libp2p.DisableRelay(), libp2p.DisableMetrics())...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// pair is a host with a dispatcher, and one that knows its address.
func pair(t *testing.T, addr string) (client host.Host, server peer.ID, d *Dispatcher) {
	t.Helper()
	s, c := newHost(t, addr), newHost(t, addr)
	c.Peerstore().AddAddrs(s.ID(), s.Addrs(), time.Hour)
	d = NewDispatcher(s, blocks{}, slog.New(slog.DiscardHandler))
	t.Cleanup(d.Close)
	return c, s.ID(), d
}

var loopback = map[string]string{"tcp": "/ip4/127.0.0.1/tcp/0", "quic": "/ip4/127.0.0.1/udp/0/quic-v1"}

func TestAQuestionIsAnsweredOrRefused(t *testing.T) {
	for name, addr := range loopback {
		t.Run(name, func(t *testing.T) {
			c, server, d := pair(t, addr)
			d.Handle(StatusProtocol, plain, func(_ context.Context, s *Stream) error {
				var q pb.Log
				if err := s.Read(&q, MaxControl, AskTimeout); err != nil {
					return err
				}
				if !errors.Is(s.Read(&q, MaxControl, AskTimeout), io.EOF) {
					return Malformed("one question only")
				}
				return s.Write(&pb.Refusal{Code: "answered", Sentence: string(q.GetData())})
			})
			// Refused before the question was read, as when asked too often.
			d.Handle(OfferProtocol, plain, fails(Refuse(Busy, "full").Near("half the memory")))

			var answer pb.Refusal
			require.NoError(t, Ask(t.Context(), c, server, StatusProtocol, &pb.Log{Data: []byte("well?")}, &answer, MaxControl))
			require.Equal(t, "answered", answer.GetCode())
			require.Equal(t, "well?", answer.GetSentence())
			for range 10 {
				answer.Reset()
				question := &pb.Log{Data: make([]byte, MaxControl-100)}
				require.NoError(t, Ask(t.Context(), c, server, OfferProtocol, question, &answer, MaxControl))
				require.Equal(t, "half the memory", FromProto(&answer).Nearest)
			}
			err := Ask(t.Context(), c, server, StatusProtocol, &pb.Log{Data: make([]byte, MaxControl)}, &answer, MaxControl)
			require.NoError(t, err)
			require.Equal(t, string(BadRequest), answer.GetCode())
			require.ErrorIs(t, Ask(t.Context(), c, server, StatusProtocol, &pb.Log{Data: make([]byte, 100)}, &answer, 50), ErrTooLarge)
		})
	}
}

// oneStream lets a host have one stream of a protocol at a time.
func oneStream(t *testing.T, id protocol.ID) libp2p.Option {
	t.Helper()
	limits := rcmgr.PartialLimitConfig{Protocol: map[protocol.ID]rcmgr.ResourceLimits{id: {Streams: 1, StreamsInbound: 1, StreamsOutbound: 1}}}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.Build(rcmgr.InfiniteLimits)))
	require.NoError(t, err)
	return libp2p.ResourceManager(m)
}

func TestWhoAsksTooMuchAtOnceLearnsThatItMayAskAgain(t *testing.T) {
	for name, crowded := range map[string]string{"here": "client", "there": "server"} {
		for transport, addr := range loopback {
			t.Run(name+" on "+transport, func(t *testing.T) {
				hosts := map[string]host.Host{}
				for _, who := range []string{"client", "server"} {
					var few []libp2p.Option
					if who == crowded {
						few = append(few, oneStream(t, StatusProtocol))
					}
					hosts[who] = newHost(t, addr, few...)
				}
				c, s := hosts["client"], hosts["server"]
				c.Peerstore().AddAddrs(s.ID(), s.Addrs(), time.Hour)
				d := NewDispatcher(s, blocks{}, slog.New(slog.DiscardHandler))
				t.Cleanup(d.Close)
				asked, answer := make(chan struct{}), make(chan struct{})
				d.Handle(StatusProtocol, plain, func(_ context.Context, s *Stream) error {
					asked <- struct{}{}
					<-answer
					return s.Write(&pb.Refusal{})
				})
				ask := func() error { return Ask(t.Context(), c, s.ID(), StatusProtocol, &pb.Log{}, &pb.Refusal{}, MaxControl) }
				first := make(chan error, 1)
				go func() { first <- ask() }()
				<-asked
				require.True(t, IsCode(ask(), RateLimited))
				close(answer)
				require.NoError(t, <-first)
			})
		}
	}
}

func TestWhoeverIsNotThereIsAnError(t *testing.T) {
	c, server, _ := pair(t, loopback["tcp"])
	require.Error(t, Ask(t.Context(), c, server, BlobProtocol, &pb.Log{}, &pb.Log{}, MaxControl), "no such protocol")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Ask(ctx, c, server, BlobProtocol, &pb.Log{}, &pb.Log{}, MaxControl), context.Canceled)
}

func TestCancellingResetsTheOtherSide(t *testing.T) {
	c, server, d := pair(t, loopback["tcp"])
	began, saw := make(chan struct{}), make(chan error, 1)
	d.Handle(RunProtocol, plain, func(_ context.Context, s *Stream) error {
		var m pb.Log
		if err := s.Read(&m, MaxControl, IdleTimeout); err != nil {
			return err
		}
		close(began)
		err := s.Read(&m, MaxControl, IdleTimeout)
		saw <- err
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Open(ctx, c, server, RunProtocol)
	require.NoError(t, err)
	require.NoError(t, s.Write(&pb.Log{Offset: 1}))
	<-began
	cancel()
	select {
	case err := <-saw:
		require.Error(t, err)
		require.NotErrorIs(t, err, io.EOF, "a reset is no orderly end")
		require.NotErrorIs(t, err, ErrSlow)
	case <-time.After(soon):
		t.Fatal("the handler heard nothing")
	}
	require.Error(t, s.Write(&pb.Log{}))
}

func TestCloseEndsHandlersAndWaitsForThem(t *testing.T) {
	c, server, d := pair(t, loopback["tcp"])
	started, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	d.Handle(RunProtocol, plain, func(ctx context.Context, _ *Stream) error {
		close(started)
		<-ctx.Done()
		<-release
		close(left)
		return ctx.Err()
	})
	s, err := Open(t.Context(), c, server, RunProtocol)
	require.NoError(t, err)
	defer s.Reset()
	require.NoError(t, s.Write(&pb.Log{Offset: 1}))
	<-started

	closed := make(chan struct{})
	go func() { d.Close(); close(closed) }()
	require.Error(t, s.Read(&pb.Log{}, MaxControl, soon), "the stream was reset")
	select {
	case <-closed:
		t.Fatal("closed before the handler had ended")
	default:
	}
	close(release)
	<-closed
	<-left
	require.False(t, d.enter(), "a stream that comes late isn't served")
	require.Error(t, Ask(t.Context(), c, server, RunProtocol, &pb.Log{}, &pb.Log{}, MaxControl))
}

// A muxer that has no room for a stream resets it without a word; so does a node
// that stops. What says why it was reset isn't asked again here.
func TestAStreamThatIsResetWithoutAWordIsAskedForOnceMore(t *testing.T) {
	for name, x := range map[string]struct {
		resets int // of streams, before one is answered
		why    network.StreamErrorCode
		opened int32
		fails  bool
	}{
		"once": {resets: 1, opened: 2}, "twice": {resets: 2, opened: 2, fails: true},
		"no room": {resets: 1, why: network.StreamResourceLimitExceeded, opened: 1, fails: true},
	} {
		for transport, addr := range loopback {
			t.Run(name+" on "+transport, func(t *testing.T) {
				s, c := newHost(t, addr), newHost(t, addr)
				c.Peerstore().AddAddrs(s.ID(), s.Addrs(), time.Hour)
				var opened atomic.Int32
				s.SetStreamHandler(StatusProtocol, func(raw network.Stream) {
					if int(opened.Add(1)) <= x.resets {
						_ = raw.ResetWithError(x.why)
						return
					}
					stream := NewStream(t.Context(), raw)
					_ = stream.Write(&pb.Refusal{Code: "answered"})
					_ = stream.Close()
				})
				var answer pb.Refusal
				err := Ask(t.Context(), c, s.ID(), StatusProtocol, &pb.Log{}, &answer, MaxControl)
				require.Equal(t, x.fails, err != nil, "%v", err)
				require.Equal(t, x.opened, opened.Load(), "%v", err)
				if err == nil {
					require.Equal(t, "answered", answer.GetCode())
				}
			})
		}
	}
}
