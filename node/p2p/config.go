package p2p

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"souk/internal/pattern"
)

// Times of the DHT (DESIGN §7) and of keeping in touch.
const (
	ProvideValidity = 90 * time.Minute // how long others keep what a node advertised
	AdvertiseEvery  = 30 * time.Minute // ± advertiseJitter; must stay well under ProvideValidity
	RetryMin        = time.Second      // first pause after a failed bootstrap or advertisement
	RetryMax        = time.Minute      // longest such pause
)

// Config says what a Node is. Key, Network and Version are required.
type Config struct {
	// Key is the node's identity: secp256k1, or of any kind with DHTOnly.
	Key crypto.PrivKey
	// Network is the souk network's name: 1 to 32 of a-z, 0-9 and the hyphen.
	Network string
	// Version goes into the agent string "souk/<version>".
	Version string
	// Host is one that runs already, such as on a simulated network; the node
	// closes it. Nil: the node makes its own. Blocks and limits of connections,
	// Listen and finding a way through NATs are then that host's affair.
	Host host.Host
	// Listen has the multiaddrs to listen on, TCP or QUIC. Empty: any free
	// port on all interfaces, or on 127.0.0.1 with Loopback.
	Listen []string
	// Bootstrap has the multiaddrs of nodes to join by, each with /p2p/<peer
	// ID>, or /dnsaddr/<name>. The node's own are left out.
	Bootstrap []string
	// Loopback keeps everything on this machine (testnets).
	Loopback bool
	// DHTOnly is for nodes that only serve the DHT and trade nothing.
	DHTOnly bool
	// ServeDHT answers the DHT's questions even before, or without, being
	// known to be reachable. Loopback and DHTOnly imply it.
	ServeDHT bool
	// ServeRelay relays for others while this node is publicly reachable.
	ServeRelay bool
	// LocalDiscovery finds peers on the local network by mDNS; never with Loopback.
	LocalDiscovery bool
	// AdvertiseEvery overrides the constant of that name where not 0.
	AdvertiseEvery time.Duration
	// RetryMin and RetryMax override the constants of these names where not 0.
	RetryMin, RetryMax time.Duration
	// Now is the clock that block times are counted on; nil is time.Now.
	Now func() time.Time
	// Log gets what happens; nil discards it.
	Log *slog.Logger
}

var networkName = pattern.Lazy(`^[a-z0-9-]{1,32}$`)

// CheckNetwork tells whether name can be the name of a souk network.
func CheckNetwork(name string) error {
	if !networkName().MatchString(name) {
		return fmt.Errorf("%w: %.40q must be 1 to 32 lower-case letters, digits or hyphens", ErrNetworkName, name)
	}
	return nil
}

// settled is a Config with its defaults filled in and its addresses read.
type settled struct {
	Config
	listen         []ma.Multiaddr
	listenExplicit bool // each of listen must work, rather than one of them
	bootstrap      []bootstrapTarget
}

func (c Config) settle() (settled, error) {
	s := settled{Config: c}
	s.applyDefaults()
	if err := checkKey(c.Key, c.DHTOnly); err != nil {
		return settled{}, err
	}
	if err := CheckNetwork(c.Network); err != nil {
		return settled{}, err
	}
	var err error
	if s.listen, err = readListen(s.Listen, c.Loopback); err != nil {
		return settled{}, err
	}
	if s.bootstrap, err = readBootstrap(c.Bootstrap, c.Key, c.Loopback); err != nil {
		return settled{}, err
	}
	return s, nil
}

func (s *settled) applyDefaults() {
	s.listenExplicit = len(s.Listen) > 0
	if !s.listenExplicit {
		s.Listen = defaultListen(s.Loopback)
	}
	s.LocalDiscovery = s.LocalDiscovery && !s.Loopback
	s.ServeRelay = s.ServeRelay && !s.Loopback
	s.ServeDHT = s.ServeDHT || s.Loopback || s.DHTOnly
	s.AdvertiseEvery = orElse(s.AdvertiseEvery, AdvertiseEvery)
	s.RetryMin = orElse(s.RetryMin, RetryMin)
	s.RetryMax = max(orElse(s.RetryMax, RetryMax), s.RetryMin)
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

func defaultListen(loopback bool) []string {
	if loopback {
		return []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	}
	return []string{
		"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1",
		"/ip6/::/tcp/0", "/ip6/::/udp/0/quic-v1",
	}
}

func checkKey(k crypto.PrivKey, dhtOnly bool) error {
	if k == nil {
		return fmt.Errorf("%w: the node has none, and needs a secp256k1 key", ErrKeyKind)
	}
	if !dhtOnly && k.Type() != crypto.Secp256k1 {
		return fmt.Errorf("%w: a node that trades needs a secp256k1 key, because it also signs for an Ethereum address; this one is %s",
			ErrKeyKind, k.Type())
	}
	return nil
}

func readListen(addrs []string, loopback bool) ([]ma.Multiaddr, error) {
	out := make([]ma.Multiaddr, 0, len(addrs))
	for _, text := range addrs {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%w: listen address %q is no multiaddr (like /ip4/0.0.0.0/tcp/4001): %w", ErrAddress, text, err)
		}
		if !listenable(a) {
			return nil, fmt.Errorf("%w: listen address %q must be /ip4 or /ip6 and then /tcp/PORT or /udp/PORT/quic-v1", ErrAddress, text)
		}
		if loopback && !manet.IsIPLoopback(a) {
			return nil, fmt.Errorf("%w: listen address %q is not on loopback, where a testnet stays (use /ip4/127.0.0.1/…)", ErrAddress, text)
		}
		if !anyPort(a) && slices.ContainsFunc(out, a.Equal) {
			return nil, fmt.Errorf("%w: listen address %q is there twice", ErrAddress, text)
		}
		out = append(out, a)
	}
	return out, nil
}

func anyPort(a ma.Multiaddr) bool { return a[1].Value() == "0" }

func listenable(a ma.Multiaddr) bool {
	var codes []int
	for _, c := range a {
		codes = append(codes, c.Protocol().Code)
	}
	if len(codes) < 2 || (codes[0] != ma.P_IP4 && codes[0] != ma.P_IP6) {
		return false
	}
	switch codes[1] {
	case ma.P_TCP:
		return len(codes) == 2
	case ma.P_UDP:
		return len(codes) == 3 && codes[2] == ma.P_QUIC_V1
	}
	return false
}
