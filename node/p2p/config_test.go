package p2p

import (
	"crypto/rand"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

func TestNewRefuses(t *testing.T) {
	ed, _, err := crypto.GenerateEd25519Key(rand.Reader)
	require.NoError(t, err)
	const there = "/p2p/" + knownPeer
	for name, c := range map[string]struct {
		change func(*Config)
		want   error
		names  string // what the sentence must name
	}{
		"no key":                {func(c *Config) { c.Key = nil }, ErrKeyKind, "secp256k1"},
		"wrong key":             {func(c *Config) { c.Key = ed }, ErrKeyKind, "Ed25519"},
		"no network":            {func(c *Config) { c.Network = "" }, ErrNetworkName, `""`},
		"network in capitals":   {func(c *Config) { c.Network = "Souk" }, ErrNetworkName, "Souk"},
		"network too long":      {func(c *Config) { c.Network = strings.Repeat("a", 33) }, ErrNetworkName, "aaa"},
		"network with a slash":  {func(c *Config) { c.Network = "a/b" }, ErrNetworkName, "a/b"},
		"network with newline":  {func(c *Config) { c.Network = "a\n" }, ErrNetworkName, "a"},
		"listen on nonsense":    {func(c *Config) { c.Listen = []string{"/ip4/127.0.0.1/tcp/0", "nonsense"} }, ErrAddress, "nonsense"},
		"listen without port":   {func(c *Config) { c.Listen = []string{"/ip4/127.0.0.1"} }, ErrAddress, "/ip4/127.0.0.1"},
		"listen on plain UDP":   {func(c *Config) { c.Listen = []string{"/ip4/127.0.0.1/udp/0"} }, ErrAddress, "quic-v1"},
		"listen on websocket":   {func(c *Config) { c.Listen = []string{"/ip4/127.0.0.1/tcp/0/ws"} }, ErrAddress, "/ws"},
		"listen on a name":      {func(c *Config) { c.Listen = []string{"/dns4/localhost/tcp/0"} }, ErrAddress, "localhost"},
		"listen twice":          {func(c *Config) { c.Listen = []string{"/ip4/127.0.0.1/tcp/7", "/ip4/127.0.0.1/tcp/7"} }, ErrAddress, "twice"},
		"testnet on all":        {func(c *Config) { c.Listen = []string{"/ip4/0.0.0.0/tcp/0"} }, ErrAddress, "loopback"},
		"bootstrap nonsense":    {func(c *Config) { c.Bootstrap = []string{"example.org:4001"} }, ErrAddress, "example.org:4001"},
		"bootstrap without ID":  {func(c *Config) { c.Bootstrap = []string{"/ip4/127.0.0.1/tcp/1"} }, ErrAddress, "/p2p/"},
		"bootstrap outside":     {func(c *Config) { c.Bootstrap = []string{"/ip4/192.0.2.1/tcp/1" + there} }, ErrAddress, "loopback"},
		"bootstrap name inside": {func(c *Config) { c.Bootstrap = []string{"/dnsaddr/example.org"} }, ErrAddress, "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			c.change(&cfg)
			_, err := New(t.Context(), cfg)
			require.ErrorIs(t, err, c.want)
			require.Contains(t, err.Error(), c.names)
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	c := testConfig(t)
	c.Loopback, c.LocalDiscovery, c.RetryMin, c.RetryMax = false, true, 0, 0
	c.Bootstrap = []string{"/dnsaddr/example.org", "/ip4/192.0.2.1/tcp/1/p2p/" + knownPeer}
	s, err := c.settle()
	require.NoError(t, err)
	require.Equal(t, AdvertiseEvery, s.AdvertiseEvery)
	require.Equal(t, RetryMin, s.RetryMin)
	require.Equal(t, RetryMax, s.RetryMax)
	require.True(t, s.LocalDiscovery)
	require.False(t, s.ServeDHT)
	require.Len(t, s.listen, 4)
	require.Len(t, s.bootstrap, 2)
	require.Less(t, 2*AdvertiseEvery, ProvideValidity, "one advertisement may fail before a record ends")

	c.Loopback, c.ServeRelay, c.Bootstrap = true, true, nil
	s, err = c.settle()
	require.NoError(t, err)
	require.False(t, s.LocalDiscovery, "no mDNS in loopback mode")
	require.False(t, s.ServeRelay, "no relay in loopback mode")
	require.True(t, s.ServeDHT)
}

func TestDHTOnlyNodeMayHaveAnyKey(t *testing.T) {
	ed, _, err := crypto.GenerateEd25519Key(rand.Reader)
	require.NoError(t, err)
	n := newNode(t, func(c *Config) { c.Key, c.DHTOnly = ed, true })
	require.NotEmpty(t, n.Addrs())
}

func TestPortInUse(t *testing.T) {
	tcp, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, tcp.Close()) }()
	udp, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, udp.Close()) }()
	node := newNode(t) // holds its ports with SO_REUSEPORT

	taken := []string{
		"/ip4/127.0.0.1/tcp/" + port(t, tcp.Addr().String()),
		"/ip4/127.0.0.1/udp/" + port(t, udp.LocalAddr().String()) + "/quic-v1",
	}
	for _, a := range node.Host().Addrs() {
		taken = append(taken, a.String())
	}
	for _, addr := range taken {
		c := testConfig(t)
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0", addr}
		_, err := New(t.Context(), c)
		require.ErrorIs(t, err, ErrPortInUse, addr)
		require.Contains(t, err.Error(), addr)
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return p
}

func TestAddrFilter(t *testing.T) {
	addrs := []ma.Multiaddr{
		ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/ip4/192.168.1.2/tcp/1"),
		ma.StringCast("/ip4/8.8.8.8/tcp/1"), ma.StringCast("/ip4/0.0.0.0/tcp/1"), nil,
	}
	lan := func() ([]ma.Multiaddr, error) { return addrs[:2], nil }
	lone := func() ([]ma.Multiaddr, error) { return addrs[:1], nil }

	require.Equal(t, addrs[1:3], addrFilter(false, lan)(addrs), "private addresses stay: souk works on a LAN")
	require.Equal(t, addrs[:1], addrFilter(true, lan)(addrs))
	require.Equal(t, addrs[:3], addrFilter(false, lone)(addrs), "a machine without a network")

	many := make([]ma.Multiaddr, 100)
	for i := range many {
		many[i] = addrs[2]
	}
	require.Len(t, addrFilter(false, lan)(many), MaxPeerAddrs)
}

func TestAnnouncedOrder(t *testing.T) {
	private := ma.StringCast("/ip4/192.168.1.2/tcp/1")
	relay := ma.StringCast("/ip4/8.8.4.4/tcp/1/p2p/" + knownPeer + "/p2p-circuit")
	public := ma.StringCast("/ip4/8.8.8.8/tcp/1")
	confirmed := ma.StringCast("/ip4/8.8.8.8/udp/1/quic-v1")
	got := announced([]ma.Multiaddr{private, relay, public, confirmed}, []ma.Multiaddr{confirmed})
	require.Equal(t, []ma.Multiaddr{confirmed, public, relay, private}, got)

	many := []ma.Multiaddr{private, private, private, private, private, private, private, private, public}
	got = announced(many, nil)
	require.Len(t, got, MaxAnnounced)
	require.Equal(t, public, got[0], "the best stays when some are cut")
}

func TestMDNSServicesDontMix(t *testing.T) {
	require.Equal(t, "_souk._udp", mdnsService("souk"))
	require.Equal(t, "_souk-lab._udp", mdnsService("lab"))
	longest := mdnsService(strings.Repeat("a", 32))
	require.LessOrEqual(t, len(longest)-len("._udp"), 63, "a DNS label holds 63 bytes")
}

func TestJitter(t *testing.T) {
	for range 1000 {
		d := jitter(30 * time.Minute)
		require.GreaterOrEqual(t, d, 24*time.Minute)
		require.LessOrEqual(t, d, 36*time.Minute)
	}
}
