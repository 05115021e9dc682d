package p2p

import (
	"os"
	"regexp"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/stretchr/testify/require"

	"souk/protocol/wire"
)

// Each of souk's protocols has its row, as a protocol and as a service.
func TestEveryProtocolHasLimits(t *testing.T) {
	limits := rcmgr.NewFixedLimiter(soukLimits().Build(rcmgr.InfiniteLimits))
	for _, id := range protocols(t) {
		for name, l := range map[string]rcmgr.Limit{
			"service": limits.GetServiceLimits(string(id)), "protocol": limits.GetProtocolLimits(id),
		} {
			require.LessOrEqual(t, l.GetStreamTotalLimit(), 1024, "%s %s", name, id)
			require.LessOrEqual(t, l.GetMemoryLimit(), int64(96<<20), "%s %s", name, id)
		}
		for name, l := range map[string]rcmgr.Limit{
			"service": limits.GetServicePeerLimits(string(id)), "protocol": limits.GetProtocolPeerLimits(id),
		} {
			require.LessOrEqual(t, l.GetStreamLimit(network.DirInbound), RegularStreams, "%s %s of one peer", name, id)
			require.LessOrEqual(t, l.GetMemoryLimit(), int64(PeerMemory), "%s %s of one peer", name, id)
			require.GreaterOrEqual(t, l.GetMemoryLimit(), int64(wire.MaxControl), "%s %s of one peer", name, id)
		}
	}
	require.Equal(t, MaxConns, limits.GetSystemLimits().GetConnTotalLimit())
	require.Less(t, HighWater, MaxConns)
}

// protocols are all that package wire names, so that a new one can't be left out.
func protocols(t *testing.T) (all []protocol.ID) {
	t.Helper()
	text, err := os.ReadFile("../../protocol/wire/limits.go")
	require.NoError(t, err)
	for _, found := range regexp.MustCompile(`protocol\.ID = "(.*)"`).FindAllSubmatch(text, -1) {
		all = append(all, protocol.ID(found[1]))
	}
	require.Subset(t, all, []protocol.ID{
		wire.OfferProtocol, wire.LeaseProtocol, wire.RunProtocol, wire.BlobProtocol, wire.StatusProtocol, wire.ChallengeProtocol,
	})
	return all
}

// A peer without limits of its own opens streams without end, and gets what
// the limits say.
func TestStreamsPerPeerAreBounded(t *testing.T) {
	server := newNode(t)
	for _, s := range serviceLimits() {
		server.Host().SetStreamHandler(s.protocol, grantStream)
	}
	flooder, err := libp2p.New(libp2p.NoListenAddrs, libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	require.NoError(t, err)
	defer func() { require.NoError(t, flooder.Close()) }()
	require.NoError(t, flooder.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Host().Addrs()}))

	offers := granted(t, flooder, server.ID(), wire.OfferProtocol)
	require.Equal(t, 16, offers, "of one service")
	total := offers
	for _, s := range serviceLimits() {
		total += granted(t, flooder, server.ID(), s.protocol)
	}
	require.LessOrEqual(t, total, PeerStreams, "of all together")
	require.Greater(t, total, offers)
}

// grantStream takes a slot as wire's dispatcher does, and says so.
func grantStream(s network.Stream) {
	if s.Scope().SetService(string(s.Protocol())) != nil {
		_ = s.Reset()
		return
	}
	_, _ = s.Write([]byte{1})
}

// granted opens streams until one is refused, leaves them open and counts them.
func granted(t *testing.T, from host.Host, to peer.ID, id protocol.ID) int {
	t.Helper()
	for n := 0; ; n++ {
		require.LessOrEqual(t, n, 10*PeerStreams, "no limit")
		s, err := from.NewStream(t.Context(), to, id)
		if err != nil {
			return n
		}
		if _, err := s.Write([]byte{0}); err != nil {
			return n
		}
		if _, err := s.Read(make([]byte, 1)); err != nil {
			return n
		}
	}
}

// Who pays may open more streams than a stranger, also where it was connected
// before; who is paid may not, but this node may to it.
func TestARegularHasMoreStreams(t *testing.T) {
	server := newNode(t)
	for _, s := range serviceLimits() {
		server.Host().SetStreamHandler(s.protocol, grantStream)
	}
	from := func() host.Host {
		h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport), libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		require.NoError(t, h.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Host().Addrs()}))
		return h
	}
	client, supplier := from(), from()
	server.MakeRegular(client.ID())
	server.MakeSupplier(supplier.ID())
	require.True(t, server.IsRegular(client.ID()))
	require.False(t, server.IsRegular(supplier.ID()))
	require.Greater(t, granted(t, client, server.ID(), wire.RunProtocol), 2*PeerStreams)
	require.LessOrEqual(t, granted(t, supplier, server.ID(), wire.RunProtocol), PeerStreams)

	for _, h := range []host.Host{client, supplier} { // a new connection is let in, also over TCP, which takes a file
		require.NoError(t, h.Network().ClosePeer(server.ID()))
		eventually(t, "connected again", func() bool {
			return h.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Host().Addrs()}) == nil && connected(server.Host(), h.ID())
		})
	}

	manager := server.Host().Network().ResourceManager()
	for n := range 2 * PeerStreams {
		s, err := manager.OpenStream(supplier.ID(), network.DirOutbound)
		require.NoError(t, err, "%d", n)
		defer s.Done()
	}
}
