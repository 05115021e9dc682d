package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
)

// blocks remembers who was blocked for how long.
type blocks map[peer.ID]time.Duration

func (b blocks) Block(p peer.ID, d time.Duration) { b[p] = d }

func (blocks) IsRegular(peer.ID) bool { return false }

func plain(r *pb.Refusal) proto.Message { return r }

func newTestDispatcher() (*Dispatcher, blocks) {
	b := blocks{}
	return NewDispatcher(nil, b, slog.New(slog.DiscardHandler)), b
}

// told is what the peer saw of one stream: a refusal, or nil.
func told(t *testing.T, d *Dispatcher, id protocol.ID, change func(*rawStream), handle Handler) (*Refusal, *rawStream) {
	t.Helper()
	raw, there := newRaw(t)
	change(raw)
	answer := make(chan *pb.Refusal, 1)
	go func() {
		defer close(answer)
		other := NewStream(context.Background(), &rawStream{pipe: there, scope: &rawScope{limit: MaxControl}})
		var r pb.Refusal
		if other.Read(&r, MaxControl, IdleTimeout) == nil {
			answer <- &r
		}
		_ = other.Close()
	}()
	d.serve(id, raw, &doorway{}, plain, handle)
	if r, ok := <-answer; ok {
		return FromProto(r), raw
	}
	return nil, raw
}

func fails(err error) Handler { return func(context.Context, *Stream) error { return err } }

func asIs(*rawStream) {}

func TestAHandlersErrorDecidesWhatHappens(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		code  Code // told to the peer; empty: nothing
		reset bool
		block time.Duration
	}{
		"no error":          {nil, "", false, 0},
		"refusal":           {Refuse(Busy, "full"), Busy, false, 0},
		"wrapped refusal":   {fmt.Errorf("lease: %w", Refuse(Taken, "gone")), Taken, false, 0},
		"malformed":         {Malformed("nonsense"), BadRequest, false, 0},
		"too large":         {fmt.Errorf("read: %w", ErrTooLarge), BadRequest, false, 0},
		"block":             {&BlockError{For: time.Hour, Reason: Refuse(BadSignature, "forged")}, "", true, time.Hour},
		"end of stream":     {io.EOF, "", true, 0},
		"slow peer":         {fmt.Errorf("read: %w", ErrSlow), "", true, 0},
		"node is closing":   {context.Canceled, "", true, 0},
		"the node's fault":  {errors.New("/var/lib/souk: secret"), Internal, false, 0},
		"deadline for work": {context.DeadlineExceeded, Internal, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d, blocked := newTestDispatcher()
			defer d.Close()
			r, raw := told(t, d, LeaseProtocol, asIs, fails(c.err))
			require.Equal(t, c.reset, raw.wasReset())
			require.Equal(t, c.block, blocked["someone"])
			if c.code == "" {
				require.Nil(t, r)
				return
			}
			require.Equal(t, c.code, r.Code)
			require.NotContains(t, r.Sentence, "secret")
		})
	}
}

func TestAPanicEndsOnlyItsStream(t *testing.T) {
	d, blocked := newTestDispatcher()
	defer d.Close()
	r, _ := told(t, d, LeaseProtocol, asIs, func(context.Context, *Stream) error { panic("nil map") })
	require.Equal(t, Internal, r.Code)
	require.NotContains(t, r.Sentence, "nil map")
	require.Empty(t, blocked)
}

func TestAPeerThatKeepsSendingNonsenseIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, blocked := newTestDispatcher()
		defer d.Close()
		nonsense := func() { _, _ = told(t, d, LeaseProtocol, asIs, fails(Malformed("nonsense"))) }
		for range MalformedBeforeBlock {
			nonsense()
		}
		require.Empty(t, blocked)
		other := func(s *rawStream) { s.conn.remote = "another" }
		_, _ = told(t, d, LeaseProtocol, other, fails(Malformed("nonsense")))
		require.Empty(t, blocked, "each peer is counted alone")

		<-time.After(BlockWindow)
		for range MalformedBeforeBlock {
			nonsense()
		}
		require.Empty(t, blocked, "it is forgotten after the window")
		nonsense()
		require.Equal(t, blocks{"someone": BlockFor}, blocked)
	})
}

func TestAPeerMayAskOnlySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, blocked := newTestDispatcher()
		defer d.Close()
		ask := func(id protocol.ID, change func(*rawStream)) Code {
			r, _ := told(t, d, id, change, fails(Refuse(Busy, "asked")))
			return r.Code
		}
		for range AsksBurst {
			require.Equal(t, Busy, ask(OfferProtocol, asIs))
		}
		require.Equal(t, RateLimited, ask(OfferProtocol, asIs))
		require.Equal(t, Busy, ask(LeaseProtocol, asIs), "each protocol is counted alone")
		require.Equal(t, Busy, ask(OfferProtocol, func(s *rawStream) { s.conn.remote = "another" }), "and each peer")
		<-time.After(time.Second)
		for range AsksPerSecond {
			require.Equal(t, Busy, ask(OfferProtocol, asIs))
		}
		require.Equal(t, RateLimited, ask(OfferProtocol, asIs))
		require.Empty(t, blocked, "asking often is no offence")
	})
}

func TestOnlyLightProtocolsGoOverARelay(t *testing.T) {
	for id, allowed := range map[protocol.ID]bool{
		OfferProtocol: true, LeaseProtocol: true, StatusProtocol: true, RunProtocol: false, BlobProtocol: false,
	} {
		d, _ := newTestDispatcher()
		r, _ := told(t, d, id, func(s *rawStream) { s.conn.limited = true }, fails(Refuse(Busy, "asked")))
		require.Equal(t, allowed, r.Code == Busy, "%s: %s", id, r.Code)
		d.Close()
	}
}

func TestAStreamWithoutASlotIsReset(t *testing.T) {
	d, _ := newTestDispatcher()
	defer d.Close()
	r, raw := told(t, d, LeaseProtocol, func(s *rawStream) { s.scope.noSlot = true }, func(context.Context, *Stream) error {
		t.Error("the handler ran")
		return nil
	})
	require.Nil(t, r)
	require.True(t, raw.wasReset())
	require.Equal(t, network.StreamResourceLimitExceeded, raw.code, "the peer learns that it may come again")
}

func TestMannersAreRememberedInBoundedMemory(t *testing.T) {
	m := newManners()
	for i := range 2 * maxRemembered {
		m.mayAsk(peer.ID(fmt.Sprint(i)), LeaseProtocol, i%2 == 0)
		m.Misbehaved(peer.ID(fmt.Sprint(i)))
	}
	require.Equal(t, maxRemembered, m.asks.Len())
	require.Equal(t, maxRemembered, m.Faults.of.Len())
}
