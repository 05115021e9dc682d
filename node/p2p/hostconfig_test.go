package p2p

import (
	"reflect"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
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
