package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/config"
	"souk/node/control"
)

func (f *fakeNode) Offers(context.Context, control.Need) ([]client.Candidate, error) { return nil, nil }

// A flag that holds for a node that is started would be lost on one that runs.
func TestARunningNodeThatIsSetUpInAnotherWayIsRefused(t *testing.T) {
	d := newDesk(t)
	one, two := "/ip4/192.0.2.1/tcp/4001/p2p/16Uiu2HAmB4aLknDhiDithBaMZWbVcZp6Wv9BLvYh61GK1jHSqQyz", "/dnsaddr/example.org"
	d.node.setUp = config.Config{Network: "souk", MDNS: true}
	for _, args := range [][]string{
		{"run", "--bootstrap", one, "job.yaml"}, {"offers", "--loopback"}, {"offers", "--mdns=false"}, {"node", "up", "--network", "mine"},
		{"offers", "--listen", "/ip4/127.0.0.1/tcp/0"}, {"offers", "--log-level", "debug"},
	} {
		require.Equal(t, exitSouk, d.souk(args...), "%v", args)
		require.Contains(t, d.err.String(), "stop it with `souk node down`", "%v", args)
	}
	require.Nil(t, d.node.submitted)
	require.Equal(t, exitSouk, d.souk("offers", "--loopback", "--bootstrap", one))
	require.Contains(t, d.err.String(), "souk: the node that runs on ")
	require.Contains(t, d.err.String(), "has bootstrap none and not "+one+", loopback false and not true; ")

	require.Zero(t, d.souk("offers"), "without a flag any node will do")
	require.Zero(t, d.souk("offers", "--network", "souk", "--mdns"), d.err.String())
	d.node.setUp = config.Config{Bootstrap: []string{one, two}, Loopback: true}
	require.Zero(t, d.souk("offers", "--bootstrap", two, "--bootstrap", one, "--loopback"), d.err.String())
}
