package run_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/quic-go/quic-go.(*Transport).listen"),
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/host/basic.(*addrsManager).background"),
	)
}

// script is a runner that does what the test says.
type script func(client peer.ID, a run.Attach, c *run.Conversation) error

func (s script) Attach(_ context.Context, client peer.ID, a run.Attach, c *run.Conversation) error {
	return s(client, a, c)
}

func newHost(t *testing.T) host.Host {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func serve(t *testing.T, s script) (client, provider host.Host) {
	client, provider = newHost(t), newHost(t)
	require.NoError(t, client.Connect(t.Context(), peer.AddrInfo{ID: provider.ID(), Addrs: provider.Addrs()}))
	d := wire.NewDispatcher(provider, wire.Strangers{}, slog.New(slog.DiscardHandler))
	run.Serve(d, s)
	t.Cleanup(d.Close)
	return client, provider
}

func TestAConversation(t *testing.T) {
	at := run.Attach{Lease: market.Hash{1}, LogOffset: 5, ReceiptSeq: 6}
	var client, provider host.Host
	client, provider = serve(t, func(who peer.ID, a run.Attach, c *run.Conversation) error {
		if who != client.ID() || a != at {
			return wire.Refuse(wire.Unknown, "not what was sent")
		}
		if err := c.Send(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: &pb.Log{Offset: 5, Data: []byte("hello")}}}); err != nil {
			return err
		}
		for _, want := range []func(*pb.RunRequest) bool{
			func(m *pb.RunRequest) bool {
				return m.GetCountersign().GetSeq() == 7 && len(m.GetCountersign().GetClientSignature()) == 65
			},
			func(m *pb.RunRequest) bool { return m.GetRequest() == nil },
			func(m *pb.RunRequest) bool { return m.GetCancel() != nil },
		} {
			m, err := c.Receive()
			if err != nil {
				return err
			}
			if !want(m) {
				return wire.Refuse(wire.WrongState, "out of turn")
			}
		}
		return wire.Refuse(wire.Superseded, "enough")
	})
	s, err := run.Open(t.Context(), client, provider.ID(), at)
	require.NoError(t, err)
	defer s.Close()
	e, err := s.Next()
	require.NoError(t, err)
	require.Equal(t, "hello", string(e.GetLog().GetData()))
	require.NoError(t, s.Countersign(7, market.Signature{}, nil))
	require.NoError(t, s.Ping())
	require.NoError(t, s.Cancel())
	_, err = s.Next()
	require.True(t, wire.IsCode(err, wire.Superseded), "a refusal comes as the error: %v", err)
}

func TestAConversationBeginsWithAnAttach(t *testing.T) {
	client, provider := serve(t, func(peer.ID, run.Attach, *run.Conversation) error {
		panic("never attached")
	})
	for name, m := range map[string]proto.Message{
		"nothing":      &pb.RunRequest{},
		"a cancel":     &pb.RunRequest{Request: &pb.RunRequest_Cancel{Cancel: &pb.Cancel{}}},
		"a short hash": &pb.RunRequest{Request: &pb.RunRequest_Attach{Attach: &pb.Attach{Lease: make([]byte, 31)}}},
	} {
		var e pb.RunEvent
		require.NoError(t, wire.Ask(t.Context(), client, provider.ID(), wire.RunProtocol, m, &e, wire.MaxData), name)
		require.Equal(t, string(wire.BadRequest), e.GetRefusal().GetCode(), name)
	}
}

func TestCancellingTheContextEndsTheSession(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	client, provider := serve(t, func(_ peer.ID, _ run.Attach, c *run.Conversation) error {
		close(begun)
		defer close(ended)
		_, err := c.Receive()
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	s, err := run.Open(ctx, client, provider.ID(), run.Attach{})
	require.NoError(t, err)
	<-begun
	cancel()
	_, err = s.Next()
	require.Error(t, err)
	<-ended
}
