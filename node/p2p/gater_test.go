package p2p

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

// fakeClock is told the time.
type fakeClock struct{ now time.Time }

func (c *fakeClock) Now() time.Time { return c.now }

type from struct{ remote ma.Multiaddr }

func (f from) LocalMultiaddr() ma.Multiaddr  { return ma.StringCast("/ip4/127.0.0.1/tcp/1") }
func (f from) RemoteMultiaddr() ma.Multiaddr { return f.remote }

func TestLoopbackGaterRefusesTheOutside(t *testing.T) {
	const relay = "/p2p/" + knownPeer + "/p2p-circuit"
	for addr, inside := range map[string]bool{
		"/ip4/127.0.0.1/tcp/4001":         true,
		"/ip4/127.9.9.9/udp/1/quic-v1":    true,
		"/ip6/::1/tcp/4001":               true,
		"/ip4/192.168.1.2/tcp/4001":       false,
		"/ip4/8.8.8.8/udp/4001/quic-v1":   false,
		"/ip4/0.0.0.0/tcp/4001":           false,
		"/ip6/2001:db8::1/tcp/4001":       false,
		"/ip6/::ffff:8.8.8.8/tcp/1":       false,
		"/dns4/localhost/tcp/4001":        false,
		"/dnsaddr/example.org":            false,
		"/ip4/127.0.0.1/tcp/4001" + relay: false, // where a relay leads to is anyone's guess
	} {
		a := ma.StringCast(addr)
		lo, wide := newGater(true, time.Now), newGater(false, time.Now)
		require.Equal(t, inside, lo.InterceptAddrDial("p", a), "dial %s", addr)
		require.Equal(t, inside, lo.InterceptAccept(from{a}), "accept %s", addr)
		require.True(t, wide.InterceptAddrDial("p", a), "dial %s outside loopback mode", addr)
	}
}

func TestBlockEndsByItself(t *testing.T) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	g := newGater(false, clock.Now)
	a := ma.StringCast("/ip4/192.0.2.1/tcp/1")
	require.True(t, g.InterceptPeerDial("bad"))

	g.block("bad", time.Minute)
	require.False(t, g.InterceptPeerDial("bad"))
	require.False(t, g.InterceptAddrDial("bad", a))
	require.False(t, g.InterceptSecured(network.DirInbound, "bad", from{a}))
	require.True(t, g.InterceptPeerDial("good"))

	g.block("bad", time.Second) // a shorter block doesn't cut the longer one
	clock.now = clock.now.Add(time.Minute - time.Nanosecond)
	require.False(t, g.InterceptPeerDial("bad"))
	clock.now = clock.now.Add(time.Nanosecond)
	require.True(t, g.InterceptPeerDial("bad"))
	require.Empty(t, g.blocked)
}

func TestBlockListIsBounded(t *testing.T) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	g := newGater(false, clock.Now)
	for i := range maxBlocked {
		g.block(peer.ID(fmt.Sprint(i)), time.Hour+time.Duration(i))
	}
	g.block("one more", time.Hour*2)
	require.Len(t, g.blocked, maxBlocked)
	require.False(t, g.isBlocked("0"), "the one that would have ended first made room")
	require.True(t, g.isBlocked("1"))
	require.True(t, g.isBlocked("one more"))

	clock.now = clock.now.Add(90 * time.Minute)
	g.block("later", time.Hour)
	require.Len(t, g.blocked, 2, "ended blocks are dropped first")
}
