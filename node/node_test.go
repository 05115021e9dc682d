package node_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node"
	"souk/node/control"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/protocol/market"
	"souk/protocol/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func config(t *testing.T) node.Config {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	return node.Config{
		Dir: t.TempDir(), Key: key, Network: "test", Version: "test", Loopback: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
	}
}

func start(t *testing.T, c node.Config) *node.Node {
	n, err := node.New(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func TestADataDirectoryIsHeldByOneNode(t *testing.T) {
	c := config(t)
	start(t, c)
	_, err := node.New(t.Context(), c)
	require.ErrorIs(t, err, ledger.ErrInUse)
	require.ErrorContains(t, err, c.Dir)
}

func TestANodeThatCantStartLeavesNothing(t *testing.T) {
	c := config(t)
	c.Listen = []string{"nonsense"}
	_, err := node.New(t.Context(), c)
	require.ErrorIs(t, err, p2p.ErrAddress)
	c.Listen = nil
	start(t, c) // the directory is free again
}

func TestAProviderWithoutItsSandboxSaysSo(t *testing.T) {
	c := config(t)
	c.Provide = &node.Provide{Price: market.NewAmount(1), SandboxPath: filepath.Join(t.TempDir(), "none")}
	_, err := node.New(t.Context(), c)
	require.ErrorContains(t, err, "none")
	c.Provide.SandboxPath, c.Provide.SimulateGPU = "", []string{"Unheard Of 1"}
	_, err = node.New(t.Context(), c)
	require.ErrorContains(t, err, "Unheard Of 1")
	c.Provide.SimulateGPU, c.Provide.Memory = nil, 1<<60
	_, err = node.New(t.Context(), c)
	require.ErrorContains(t, err, "provider.memory")
}

func TestANodeTellsHowItStands(t *testing.T) {
	n := start(t, config(t))
	asked := false
	b := n.Backend(func() { asked = true })
	s, err := b.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, n.ID().String(), s.Peer)
	require.Equal(t, os.Getpid(), s.PID)
	require.Nil(t, s.Providing)
	require.NotEmpty(t, s.Addrs)

	checks, err := b.Doctor(t.Context())
	require.NoError(t, err)
	byName := map[string]control.Check{}
	for _, c := range checks {
		require.NotContains(t, byName, c.Name, "one row each")
		byName[c.Name] = c
		require.True(t, c.OK || c.Fix != "", "%s says what to do", c.Name)
	}
	require.True(t, byName["books"].OK)

	_, err = b.LeaseEvents(t.Context())
	require.True(t, wire.IsCode(err, wire.Unknown), "%v", err)
	_, err = b.Bundle(t.Context(), "00")
	require.True(t, wire.IsCode(err, wire.Unknown), "%v", err)
	require.NoError(t, b.Shutdown(t.Context()))
	require.True(t, asked)
}

func TestABootstrapThatIsDownIsNamed(t *testing.T) {
	c := config(t)
	gone := start(t, config(t))
	addr := gone.Net().Addrs()[0].String()
	require.NoError(t, gone.Close())
	c.Bootstrap = []string{addr}
	n := start(t, c)
	s, err := n.Backend(func() {}).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, s.Bootstrap, 1)
	require.Contains(t, s.Bootstrap[0], addr)
}

func TestWhoIsAloneIsNotToldThatOthersAreConnected(t *testing.T) {
	n := start(t, config(t))
	nobody := func(n *node.Node) string {
		p, err := n.Backend(func() {}).Plan(t.Context(), jobfile.Spec{CPU: 1, Memory: 1 << 20, Disk: 1 << 20, Time: time.Second, Total: market.NewAmount(1)})
		require.NoError(t, err)
		return p.Summary
	}
	require.Contains(t, nobody(n), "no other node is connected, and with --loopback only those on this machine can be: name one with --bootstrap")

	c := config(t)
	c.Bootstrap = []string{n.Net().Addrs()[0].String()}
	other := start(t, c)
	require.Eventually(t, func() bool { return !other.Net().Alone() }, time.Minute, 10*time.Millisecond)
	require.Contains(t, nobody(other), "though others are connected")
}
