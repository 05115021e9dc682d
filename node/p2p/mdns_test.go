package p2p

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/zeroconf/v2"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

func addrsOf(texts ...string) (addrs []ma.Multiaddr) {
	for _, t := range texts {
		addrs = append(addrs, ma.StringCast(t))
	}
	return addrs
}

// A machine with many bridges still names the address that others can reach.
func TestAddressesOfInnerNetworksComeLast(t *testing.T) {
	got := putLast(addrsOf("/ip4/172.17.0.1/tcp/1", "/ip4/192.0.2.7/tcp/1", "/ip4/172.18.0.1/tcp/1", "/ip4/192.0.2.7/udp/1/quic-v1"),
		map[string]bool{"172.17.0.1": true, "172.18.0.1": true})
	require.Equal(t, addrsOf("/ip4/192.0.2.7/tcp/1", "/ip4/192.0.2.7/udp/1/quic-v1", "/ip4/172.17.0.1/tcp/1", "/ip4/172.18.0.1/tcp/1"), got)
	for _, name := range []string{"docker0", "br-0123456789ab", "veth12ab34c", "virbr0"} {
		require.Regexp(t, inner(), name)
	}
	for _, name := range []string{"eth0", "enp3s0", "br0", "wlan0", "br-lan"} {
		require.NotRegexp(t, inner(), name)
	}
}

func TestWhatAProcessSaysOfItself(t *testing.T) {
	n := newNode(t)
	other := newNode(t)
	var heard []peer.AddrInfo
	m := newMDNS("test", n.ID(), func() ([]ma.Multiaddr, error) {
		return addrsOf("/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.7/tcp/1"), nil
	}, func(i peer.AddrInfo) { heard = append(heard, i) }, slog.New(slog.DiscardHandler))
	said := m.texts()
	require.Equal(t, []string{"dnsaddr=/ip4/192.0.2.7/tcp/1/p2p/" + n.ID().String()}, said, "loopback is nobody else's")

	m.read(&zeroconf.ServiceEntry{ServiceRecord: zeroconf.ServiceRecord{Instance: m.instance}, Text: said})
	require.Empty(t, heard, "this is the process itself")
	m.read(&zeroconf.ServiceEntry{ServiceRecord: zeroconf.ServiceRecord{Instance: "another"}, Text: []string{
		"what", "dnsaddr=what", "dnsaddr=/ip4/192.0.2.8/tcp/1", strings.Replace(said[0], n.ID().String(), other.ID().String(), 1),
	}})
	require.Empty(t, heard, "an address without a peer ID makes all of it doubtful")
	m.read(&zeroconf.ServiceEntry{ServiceRecord: zeroconf.ServiceRecord{Instance: "another"}, Text: []string{
		"what", "dnsaddr=what", strings.Replace(said[0], n.ID().String(), other.ID().String(), 1), said[0],
	}})
	ids := map[peer.ID]bool{}
	for _, i := range heard {
		ids[i.ID] = true
		require.Equal(t, addrsOf("/ip4/192.0.2.7/tcp/1"), i.Addrs)
	}
	require.Equal(t, map[peer.ID]bool{n.ID(): true, other.ID(): true}, ids, "one with this node's key is heard of too")
}
