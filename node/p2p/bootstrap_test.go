package p2p

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

func TestBootstrapUnreachableThenUp(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	listen := "/ip4/127.0.0.1/tcp/" + port(t, l.Addr().String())
	require.NoError(t, l.Close())
	key := newKeyPair(t)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	boot := func(c *Config) { c.Key, c.Listen = key, []string{listen} }

	n := newNode(t, func(c *Config) { c.Bootstrap = []string{listen + "/p2p/" + id.String()} })
	eventually(t, "it says why", func() bool { return n.Bootstrap()[0].LastError != nil })
	require.ErrorIs(t, n.Bootstrap()[0].LastError, syscall.ECONNREFUSED)
	require.Equal(t, listen+"/p2p/"+id.String(), n.Bootstrap()[0].Addr)
	require.True(t, n.Alone())

	first := newNode(t, boot)
	eventually(t, "it joins", func() bool { return n.Bootstrap()[0].Connected })
	require.NoError(t, n.Bootstrap()[0].LastError)
	require.False(t, n.Alone())
	key1 := allKey(t, "test")
	a := advertise(t, n, key1)
	eventually(t, "advertised", func() bool { return len(found(t, first, 0, key1)) == 1 })

	require.NoError(t, first.Close())
	eventually(t, "it sees the bootstrap go", func() bool { return !n.Bootstrap()[0].Connected })
	eventually(t, "and is alone", n.Alone)

	before := time.Now()
	newNode(t, boot) // the same node, with an empty memory
	eventually(t, "it joins again", func() bool { return n.Bootstrap()[0].Connected })
	eventually(t, "and tells it without waiting for the next turn", func() bool { return a.State()[0].LastSuccess.After(before) })
}

// libp2p refuses to dial again for a while after a failure; the reason shown
// must stay the first one, and a bootstrap that is back be joined at once.
func TestBootstrapIsReallyTriedEachTime(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	target, err := readTarget("/ip4/127.0.0.1/tcp/"+port(t, l.Addr().String())+"/p2p/"+knownPeer, true)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	b := &bootstrapper{host: newNode(t).Host(), kad: KadProtocol("test")}
	for range 3 {
		_, err = b.join(t.Context(), target)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	}
}

func TestBootstrapWithAnotherID(t *testing.T) {
	boot := newNode(t)
	tcp := boot.Host().Addrs()[0].String()
	n := newNode(t, func(c *Config) { c.Bootstrap = []string{tcp + "/p2p/" + knownPeer} })
	eventually(t, "it says why", func() bool { return n.Bootstrap()[0].LastError != nil })
	require.Contains(t, n.Bootstrap()[0].LastError.Error(), "another node answers there: "+boot.ID().String())
}

func TestOwnAddressIsNoBootstrap(t *testing.T) {
	key := newKeyPair(t)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	n := newNode(t, func(c *Config) {
		c.Key, c.Bootstrap = key, []string{"/ip4/127.0.0.1/tcp/1/p2p/" + id.String()}
	})
	require.Empty(t, n.Bootstrap())
}

func TestBootstrapByName(t *testing.T) {
	boot := newNode(t)
	n := newNode(t)
	addrs := boot.Addrs()
	resolved := append([]ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1")}, addrs...) // one without an ID
	b := &bootstrapper{
		host: n.Host(), kad: KadProtocol("test"),
		resolve: func(context.Context, ma.Multiaddr) ([]ma.Multiaddr, error) { return resolved, nil },
	}
	target, err := readTarget("/dnsaddr/boot.example.org", false)
	require.NoError(t, err)
	id, err := b.join(t.Context(), target)
	require.NoError(t, err)
	require.Equal(t, boot.ID(), id)

	b.resolve = func(context.Context, ma.Multiaddr) ([]ma.Multiaddr, error) { return resolved[:1], nil }
	_, err = b.join(t.Context(), target)
	require.ErrorIs(t, err, errNoPeers)

	down := errors.New("no name server")
	b.resolve = func(context.Context, ma.Multiaddr) ([]ma.Multiaddr, error) { return nil, down }
	_, err = b.join(t.Context(), target)
	require.ErrorIs(t, err, down)
}

func TestLocalPeerIsJoined(t *testing.T) {
	a, b := newNode(t), newNode(t)
	joined := make(chan struct{}, 1)
	l := &localPeers{
		ctx: a.ctx, tasks: &a.tasks, host: a.Host(), filter: a.believed, slots: make(chan struct{}, 1),
		joined: func() { joined <- struct{}{} }, log: a.cfg.Log,
	}
	l.heard(peer.AddrInfo{ID: b.ID(), Addrs: b.Host().Addrs()})
	<-joined
	eventually(t, "no longer alone", func() bool { return !a.Alone() && !b.Alone() })
	l.heard(peer.AddrInfo{ID: b.ID(), Addrs: b.Host().Addrs()})
	require.Empty(t, joined, "it is connected already")
}

// mDNS hears of a node again and again, so a connection that was lost comes back.
func TestALocalPeerThatWasLostIsJoinedAgain(t *testing.T) {
	a, b := newNode(t), newNode(t)
	l := localTo(a)
	info := peer.AddrInfo{ID: b.ID(), Addrs: b.Host().Addrs()}
	l.heard(info)
	eventually(t, "connected", func() bool { return connected(a.Host(), b.ID()) })
	require.NoError(t, a.Host().Network().ClosePeer(b.ID()))
	eventually(t, "apart", func() bool { return !connected(a.Host(), b.ID()) })
	eventually(t, "connected again", func() bool {
		l.heard(info) // as long as the first dial isn't over, nobody else is dialled
		return connected(a.Host(), b.ID())
	})
}

func TestANodeWithThisKeyIsATwin(t *testing.T) {
	a := newNode(t)
	l := localTo(a)
	a.local = l
	require.Empty(t, a.Twin())
	l.heard(peer.AddrInfo{ID: a.ID(), Addrs: a.Host().Addrs()})
	require.Equal(t, "this machine", a.Twin())
	l.heard(peer.AddrInfo{ID: a.ID(), Addrs: []ma.Multiaddr{a.Host().Addrs()[0], ma.StringCast("/ip4/192.0.2.7/tcp/1")}})
	require.Equal(t, "192.0.2.7", a.Twin())
	l.twin.when = time.Now().Add(-twinFor - time.Second)
	require.Empty(t, a.Twin(), "it is gone")
}

func localTo(n *Node) *localPeers {
	return &localPeers{
		ctx: n.ctx, tasks: &n.tasks, host: n.Host(), filter: n.believed, slots: make(chan struct{}, 1), joined: func() {}, log: n.cfg.Log,
	}
}
