package p2p

import (
	"reflect"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

// What libp2p.New would add to a configuration that lacks something, ours has.
func TestAHostLacksNoneOfLibp2psDefaults(t *testing.T) {
	for _, loopback := range []bool{true, false} {
		cfg, err := Config{Key: newKeyPair(t), Network: "test", Loopback: loopback}.settle()
		require.NoError(t, err)
		conns, err := connmgr.NewConnManager(LowWater, HighWater)
		require.NoError(t, err)
		defer func() { require.NoError(t, conns.Close()) }()
		ours, err := hostConfig(cfg, guards{conns: conns, limits: &network.NullResourceManager{}, gate: &gater{}}, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, ours.Peerstore.Close()) }()

		whole := *ours
		require.NoError(t, libp2p.FallbackDefaults(&whole))
		require.Empty(t, changed(*ours, whole), "loopback %t", loopback)
	}
}

// What gets a node found is on where it is to be found, relaying for others only
// where it is asked for, and nothing of it in loopback mode.
func TestWhatAHostIsMadeOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ loopback, relay bool }{{false, false}, {false, true}, {true, true}} {
		cfg, err := Config{Key: newKeyPair(t), Network: "test", Version: "1.2", Loopback: c.loopback, ServeRelay: c.relay}.settle()
		require.NoError(t, err)
		h, err := hostConfig(cfg, guards{limits: &network.NullResourceManager{}, gate: &gater{}}, nil)
		require.NoError(t, err)
		require.NoError(t, h.Peerstore.Close())
		require.Equal(t, "souk/1.2", h.UserAgent)
		require.Equal(t, []protocol.ID{tls.ID, noise.ID}, []protocol.ID{h.SecurityTransports[0].ID, h.SecurityTransports[1].ID})
		require.Equal(t, !c.loopback, h.EnableAutoRelay, "asking others to relay")
		require.Equal(t, !c.loopback, h.EnableHolePunching)
		require.Equal(t, !c.loopback, h.EnableAutoNATv2)
		require.Equal(t, !c.loopback && c.relay, h.EnableRelayService, "relaying for others")
		require.Equal(t, c.loopback, h.MultiaddrResolver == network.MultiaddrDNSResolver(noDNS{}), "no name is looked up in loopback mode")

		inner, outer := ma.StringCast("/ip4/172.17.0.1/tcp/1"), ma.StringCast("/ip4/8.8.8.8/tcp/1")
		require.Equal(t, outer, h.AddrsFactory([]ma.Multiaddr{inner, outer})[0], "the address that others reach is announced first")
	}
}

// changed names the fields of a configuration that b has otherwise than a.
func changed(a, b config.Config) (names []string) {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		x, y := va.Field(i), vb.Field(i)
		same := x.IsZero() == y.IsZero()
		if k := x.Kind(); same && (k == reflect.Slice || k == reflect.Func || k == reflect.Pointer) {
			same = x.Pointer() == y.Pointer()
		}
		if !same {
			names = append(names, va.Type().Field(i).Name)
		}
	}
	return names
}

// The limits of libp2p's own protocols are those that its options would set.
func TestLibp2psOwnLimitsAreItsOwn(t *testing.T) {
	theirs, ours := scalingLimits(), scalingLimits()
	libp2p.SetDefaultServiceLimits(&theirs)
	for _, l := range ownLimits() {
		l.addTo(&ours)
	}
	require.Equal(t, theirs, ours)
	require.NotEqual(t, scalingLimits(), ours)
}

// scalingLimits are libp2p's without any of a service or protocol: the maps
// of its own are shared by all who use them.
func scalingLimits() rcmgr.ScalingLimitConfig {
	c := rcmgr.DefaultLimits
	c.ServiceLimits, c.ServicePeerLimits, c.ProtocolLimits, c.ProtocolPeerLimits = nil, nil, nil, nil
	return c
}
