package status_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/quic-go/quic-go.(*Transport).listen"),
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/host/basic.(*addrsManager).background"),
	)
}

func newHost(t *testing.T, key crypto.PrivKey) host.Host {
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func newKey(t *testing.T) crypto.PrivKey {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	return key
}

func connect(t *testing.T, from, to host.Host) {
	require.NoError(t, from.Connect(t.Context(), peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}))
}

// run is one process: it says its boot ID.
type run struct{ boot status.BootID }

func (r run) LeaseStatus(_ context.Context, _ peer.ID, q market.Quote, _ market.Signature) (*pb.LeaseStatus, error) {
	if q.MaxTicks == 1 {
		return nil, wire.Refuse(wire.Unknown, "no such quote")
	}
	return &pb.LeaseStatus{State: status.Void}, nil
}

func (r run) ChannelStatus(_ context.Context, _ peer.ID, _ market.Hash, _ status.BootID, cursor uint64) (*pb.ChannelStatus, error) {
	return &pb.ChannelStatus{BootId: r.boot[:], NextCursor: cursor + 1}, nil
}

func serve(t *testing.T, h host.Host, boot byte) {
	d := wire.NewDispatcher(h, wire.Strangers{}, slog.New(slog.DiscardHandler))
	status.Serve(d, run{status.BootID{boot}})
	t.Cleanup(d.Close)
}

func TestQuestionsAreAnswered(t *testing.T) {
	a, b := newHost(t, newKey(t)), newHost(t, newKey(t))
	serve(t, b, 7)
	connect(t, a, b)
	sig := market.Signature{64: 27}
	st, err := status.Lease(t.Context(), a, b.ID(), market.Quote{}.Encode(), sig)
	require.NoError(t, err)
	require.Equal(t, status.Void, st.GetState())
	_, err = status.Lease(t.Context(), a, b.ID(), market.Quote{MaxTicks: 1}.Encode(), sig)
	require.True(t, wire.IsCode(err, wire.Unknown), "%v", err)
	ch, err := status.Channel(t.Context(), a, b.ID(), market.Hash{1}, status.BootID{1}, 41)
	require.NoError(t, err)
	require.EqualValues(t, 42, ch.GetNextCursor())
	require.EqualValues(t, 7, ch.GetBootId()[0])
}

func TestMalformedQuestionsAreRefused(t *testing.T) {
	a, b := newHost(t, newKey(t)), newHost(t, newKey(t))
	serve(t, b, 7)
	connect(t, a, b)
	lease := func(quote, sig []byte) *pb.StatusRequest {
		return &pb.StatusRequest{Request: &pb.StatusRequest_Lease{Lease: &pb.LeaseStatusRequest{Quote: quote, Signature: sig}}}
	}
	channel := func(id, boot []byte) *pb.StatusRequest {
		return &pb.StatusRequest{Request: &pb.StatusRequest_Channel{Channel: &pb.ChannelStatusRequest{Channel: id, BootId: boot}}}
	}
	for name, q := range map[string]proto.Message{
		"nothing":         &pb.StatusRequest{},
		"a short quote":   lease(make([]byte, 31), make([]byte, 65)),
		"a bad signature": lease(market.Quote{}.Encode(), make([]byte, 64)),
		"a short channel": channel(make([]byte, 31), make([]byte, 16)),
		"a long boot ID":  channel(make([]byte, 32), make([]byte, 17)),
	} {
		var answer pb.StatusAnswer
		require.NoError(t, wire.Ask(t.Context(), a, b.ID(), wire.StatusProtocol, q, &answer, status.MaxPage), name)
		require.Equal(t, string(wire.BadRequest), answer.GetRefusal().GetCode(), name)
	}
}

func TestOfTwoLiveProcessesWithOneKeyTheFirstCounts(t *testing.T) {
	provider := newHost(t, newKey(t))
	key := newKey(t)
	first, twin := newHost(t, key), newHost(t, key)
	serve(t, first, 1)
	serve(t, twin, 2)
	connect(t, first, provider)
	connect(t, twin, provider)
	require.Eventually(t, func() bool { return len(provider.Network().ConnsToPeer(first.ID())) == 2 }, 5*time.Second, 5*time.Millisecond)
	boots := status.NewBoots(provider, status.BootID{9})
	require.NoError(t, boots.Admit(t.Context(), first.ID(), status.BootID{1}))
	require.NoError(t, boots.Admit(t.Context(), first.ID(), status.BootID{1}))
	require.True(t, wire.IsCode(boots.Admit(t.Context(), first.ID(), status.BootID{2}), wire.ChannelInUse))
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { return boots.Admit(t.Context(), twin.ID(), status.BootID{2}) == nil }, 5*time.Second, 20*time.Millisecond,
		"once the first is gone, the next run with the key takes over")
}
