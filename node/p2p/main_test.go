package p2p

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// libp2p's NAT manager looks for a router by SSDP and NAT-PMP, and does not
	// wait for these searches when it is closed; they end by themselves within 10 s.
	const nat = "github.com/libp2p/go-libp2p/p2p/net/nat/internal/nat."
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction(nat+"discoverNATs.func1"),
		goleak.IgnoreAnyFunction(nat+"discoverNATPMPWithAddr"),
	)
}

const (
	soon  = 15 * time.Second      // what should happen at once, on a busy machine
	often = 20 * time.Millisecond // how often a condition is looked at
)

func newKeyPair(t testing.TB) crypto.PrivKey {
	t.Helper()
	k, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	return k
}

func testConfig(t testing.TB) Config {
	return Config{
		Key: newKeyPair(t), Network: "test", Version: "0", Loopback: true,
		RetryMin: 50 * time.Millisecond, RetryMax: 200 * time.Millisecond,
	}
}

// newNode starts a node of a testnet that ends with the test.
func newNode(t testing.TB, change ...func(*Config)) *Node {
	t.Helper()
	c := testConfig(t)
	for _, f := range change {
		f(&c)
	}
	n, err := New(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func joining(others ...*Node) func(*Config) {
	return func(c *Config) {
		for _, o := range others {
			c.Bootstrap = append(c.Bootstrap, o.Addrs()[0].String())
		}
	}
}

func inNetwork(name string) func(*Config) {
	return func(c *Config) { c.Network = name }
}

func allKey(t testing.TB, network string) Key {
	t.Helper()
	k, err := AllKey(network, Place{})
	require.NoError(t, err)
	return k
}

func advertise(t testing.TB, n *Node, keys ...Key) *Advertiser {
	t.Helper()
	a := n.Advertise(func() []Key { return keys })
	t.Cleanup(a.Close)
	return a
}

// found are the IDs that one search yields.
func found(t testing.TB, n *Node, limit int, keys ...Key) []peer.ID {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	var ids []peer.ID
	for info := range n.Find(ctx, keys, limit) {
		ids = append(ids, info.ID)
	}
	return ids
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, time.Minute, often, what)
}
