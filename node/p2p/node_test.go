package p2p

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"
)

func TestProviderIsFoundAcrossNodes(t *testing.T) {
	boot := newNode(t)
	provider, client := newNode(t, joining(boot)), newNode(t, joining(boot))
	key := allKey(t, "test")
	advertise(t, provider, key)

	eventually(t, "the client finds the provider", func() bool {
		return len(found(t, client, 0, key)) > 0
	})
	require.Equal(t, []peer.ID{provider.ID()}, found(t, client, 0, key, key), "once, though found under two keys")
	require.NotContains(t, found(t, provider, 0, key), provider.ID(), "a node doesn't find itself")

	require.NoError(t, client.Connect(t.Context(), peer.AddrInfo{ID: provider.ID()}), "the DHT knows its addresses")
	agent, err := client.Host().Peerstore().Get(provider.ID(), "AgentVersion")
	require.NoError(t, err)
	require.Equal(t, "souk/0", agent)
}

func TestASearchInTheFirstMomentsWaitsForTheNetwork(t *testing.T) {
	boot := newNode(t)
	provider := newNode(t, joining(boot))
	key := allKey(t, "test")
	advertise(t, provider, key)
	eventually(t, "the provider is found", func() bool { return len(found(t, boot, 0, key)) == 1 })
	for range 5 {
		young := newNode(t, joining(boot))
		require.Equal(t, []peer.ID{provider.ID()}, found(t, young, 0, key))
	}
}

func TestAdvertisedBeforeAnyPeerWasThere(t *testing.T) {
	boot := newNode(t, func(c *Config) { c.Listen = []string{"/ip4/127.0.0.1/tcp/0"} })
	key := allKey(t, "test")
	a := advertise(t, boot, key)
	eventually(t, "the first try fails, as nobody is there", func() bool {
		s := a.State()
		return len(s) == 1 && s[0].LastError != nil
	})
	require.True(t, boot.Alone())

	client := newNode(t, joining(boot))
	eventually(t, "it is advertised once there is somebody", func() bool {
		s := a.State()
		return !s[0].LastSuccess.IsZero() && s[0].LastError == nil
	})
	eventually(t, "and found", func() bool { return len(found(t, client, 0, key)) == 1 })
	require.False(t, boot.Alone())
	require.False(t, client.Alone())
}

func TestAdvertiserReactsToKeyChange(t *testing.T) {
	boot := newNode(t)
	provider, client := newNode(t, joining(boot)), newNode(t, joining(boot))
	old := allKey(t, "test")
	added, err := ModelKey("test", "rtx-4090", Place{})
	require.NoError(t, err)
	keys := make(chan []Key, 1)
	keys <- []Key{old}
	current := func() []Key {
		k := <-keys
		keys <- k
		return k
	}
	a := provider.Advertise(current)
	t.Cleanup(a.Close)
	eventually(t, "the first key", func() bool { return len(found(t, client, 0, old)) == 1 })
	require.Empty(t, found(t, client, 0, added))

	<-keys
	keys <- []Key{added}
	a.Changed()
	eventually(t, "the new key", func() bool { return len(found(t, client, 0, added)) == 1 })
	require.Len(t, a.State(), 1)
	require.Equal(t, added, a.State()[0].Key)
}

func TestNetworksDontMix(t *testing.T) {
	boot := newNode(t)
	other := newNode(t, inNetwork("other"), joining(boot))
	key := allKey(t, "test")
	advertise(t, other, key) // a foreign key, even
	client := newNode(t, joining(boot))

	eventually(t, "the bootstrap is refused as one of another network", func() bool {
		return other.Bootstrap()[0].LastError != nil
	})
	require.ErrorIs(t, other.Bootstrap()[0].LastError, errNotOfNetwork)
	require.False(t, other.Bootstrap()[0].Connected)
	require.True(t, other.Alone())
	eventually(t, "the client has joined", func() bool { return !client.Alone() })
	require.Empty(t, found(t, client, 0, key))
	eventually(t, "the bootstrap takes the client", func() bool { return len(boot.dht.RoutingTable().ListPeers()) > 0 })
	require.Equal(t, []peer.ID{client.ID()}, boot.dht.RoutingTable().ListPeers(), "and only it")
}

func TestFindLimit(t *testing.T) {
	boot := newNode(t)
	key := allKey(t, "test")
	for range 3 {
		advertise(t, newNode(t, joining(boot)), key)
	}
	client := newNode(t, joining(boot))
	eventually(t, "all three", func() bool { return len(found(t, client, 0, key)) == 3 })
	require.Len(t, found(t, client, 2, key), 2)

	ctx, cancel := context.WithCancel(t.Context())
	search := client.Find(ctx, []Key{key}, 0)
	<-search
	cancel()
	eventually(t, "a search that was given up ends", func() bool {
		_, open := <-search
		return !open
	})
}

func TestFindDropsPeersOutsideTheShard(t *testing.T) {
	boot := newNode(t)
	provider, client := newNode(t, joining(boot)), newNode(t, joining(boot))
	place, err := PlaceOf(provider.ID(), 1)
	require.NoError(t, err)
	rightful := allKey(t, "test").At(place)
	intruding := allKey(t, "test").At(Place{depth: 1, shard: 1 - place.shard})
	a := advertise(t, provider, rightful, intruding)
	eventually(t, "both are advertised", func() bool {
		s := a.State()
		return len(s) == 2 && !s[0].LastSuccess.IsZero() && !s[1].LastSuccess.IsZero()
	})
	eventually(t, "found in its shard", func() bool { return len(found(t, client, 0, rightful)) == 1 })
	require.Empty(t, found(t, client, 0, intruding))
}

func TestBlockedPeer(t *testing.T) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	good := newNode(t, func(c *Config) { c.Now = clock.Now })
	bad := newNode(t)
	goodInfo := peer.AddrInfo{ID: good.ID(), Addrs: good.Host().Addrs()}
	badInfo := peer.AddrInfo{ID: bad.ID(), Addrs: bad.Host().Addrs()}
	require.NoError(t, bad.Connect(t.Context(), goodInfo))
	eventually(t, "it is in the routing table", func() bool { return len(good.dht.RoutingTable().ListPeers()) == 1 })

	good.Block(bad.ID(), time.Minute)
	eventually(t, "its connections are closed", func() bool { return !connected(bad.Host(), good.ID()) })
	require.ErrorIs(t, good.Connect(t.Context(), badInfo), ErrBlocked)
	_ = bad.Connect(t.Context(), goodInfo) // the handshake may end before it is refused
	eventually(t, "it doesn't stay connected", func() bool { return !connected(bad.Host(), good.ID()) })
	require.Equal(t, network.NotConnected, good.Host().Network().Connectedness(bad.ID()))
	require.Empty(t, good.dht.RoutingTable().ListPeers())
}

func TestUnblockedPeerIsTakenAgain(t *testing.T) {
	good, bad := newNode(t), newNode(t)
	goodInfo := peer.AddrInfo{ID: good.ID(), Addrs: good.Host().Addrs()}
	good.Block(bad.ID(), time.Hour)
	good.Block("another", time.Hour)
	good.gater.mu.Lock()
	good.gater.blocked[bad.ID()] = time.Now() // its hour is over
	good.gater.mu.Unlock()
	require.NoError(t, bad.Connect(t.Context(), goodInfo))
}

func TestLoopbackNodeStaysInside(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Listen = nil })
	for _, a := range n.Host().Addrs() {
		require.True(t, manet.IsIPLoopback(a), a)
	}
	outside := peer.AddrInfo{ID: known(t), Addrs: []ma.Multiaddr{
		ma.StringCast("/ip4/192.0.2.1/tcp/4001"), ma.StringCast("/dns4/example.org/tcp/4001"),
	}}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.Error(t, n.Host().Connect(ctx, outside))
	require.NoError(t, ctx.Err(), "refused, not tried")
	r := n.Reachability()
	require.Equal(t, ReachLoopback, r.State)
	require.Len(t, r.Addrs, 2)
}

func TestProtect(t *testing.T) {
	a, b := newNode(t), newNode(t)
	require.NoError(t, a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Host().Addrs()}))
	a.Protect(b.ID(), "lease 1")
	a.Protect(b.ID(), "lease 2")
	require.True(t, a.Unprotect(b.ID(), "lease 1"))
	require.True(t, a.Host().ConnManager().IsProtected(b.ID(), "lease 2"))
	a.Unprotect(b.ID(), "lease 2")
	require.False(t, a.Host().ConnManager().IsProtected(b.ID(), "lease 2"))
}

func TestTheDHTStoresNoValues(t *testing.T) {
	n := newNode(t)
	require.ErrorIs(t, n.dht.PutValue(t.Context(), "/pk/x", []byte("x")), routing.ErrNotSupported)
}

// What was advertised here and not again is gone after ProvideValidity.
func TestAdvertisedRecordsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers, err := pstoremem.NewPeerstore()
		require.NoError(t, err)
		defer func() { require.NoError(t, peers.Close()) }()
		store, err := records.NewProviderManager("own", peers, dssync.MutexWrap(ds.NewMapDatastore()), recordOptions()...)
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		key := allKey(t, "test").CID().Hash()
		require.NoError(t, store.AddProvider(t.Context(), key, peer.AddrInfo{ID: known(t)}))

		time.Sleep(ProvideValidity - time.Minute)
		there, err := store.GetProviders(t.Context(), key)
		require.NoError(t, err)
		require.Len(t, there, 1)
		time.Sleep(2 * time.Minute)
		there, err = store.GetProviders(t.Context(), key)
		require.NoError(t, err)
		require.Empty(t, there)
	})
}

// Outside loopback mode everything is on: NAT, relays, reachability.
func TestNodeOnTheNetwork(t *testing.T) {
	wide := func(c *Config) {
		c.Loopback, c.ServeDHT, c.ServeRelay = false, true, true
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	boot := newNode(t, wide)
	changed := boot.ReachChanged()
	boot.reach.update(func(r *reachability) { r.state = network.ReachabilityPrivate })
	<-changed
	require.Equal(t, ReachPrivate, boot.Reachability().State)

	n := newNode(t, wide, joining(boot))
	eventually(t, "joined", func() bool { return !n.Alone() && !boot.Alone() })
	require.Equal(t, ReachUnknown, n.Reachability().State)
	n.reach.update(func(r *reachability) { r.confirmed = n.Host().Addrs() })
	require.Equal(t, ReachPublic, n.Reachability().State)
}

// A node that can't be reached asks the DHT servers it knows for a relay.
func TestRelayCandidates(t *testing.T) {
	boot := newNode(t)
	n := newNode(t, joining(boot))
	early := &relaySource{}
	require.Empty(t, early.candidates(t.Context(), 4), "before the host is up")
	eventually(t, "joined", func() bool { return len(n.tablePeers()) == 1 })
	early.use(n.Host(), n.tablePeers)
	require.Equal(t, boot.ID(), (<-early.candidates(t.Context(), 4)).ID)
	require.Empty(t, early.candidates(t.Context(), 0))
}

func TestCloseEndsWhatRuns(t *testing.T) {
	n := newNode(t)
	a := n.Advertise(func() []Key { return nil })
	require.NoError(t, n.Close())
	a.Close()
	late := n.Advertise(func() []Key { return nil })
	late.Close()
	_, open := <-n.Find(t.Context(), []Key{allKey(t, "test")}, 0)
	require.False(t, open)
	require.NoError(t, n.Close())
}
