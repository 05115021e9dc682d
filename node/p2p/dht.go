package p2p

import (
	"fmt"
	"slices"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// MaxPeerAddrs is the most addresses that are kept of what others say about one peer.
const MaxPeerAddrs = 16

func kadPrefix(network string) protocol.ID { return protocol.ID("/souk/" + network) }

// KadProtocol is the DHT protocol of a network; a peer that serves it takes
// part in that network.
func KadProtocol(network string) protocol.ID { return kadPrefix(network) + "/kad/1.0.0" }

// newDHT starts the DHT of cfg's network on h. It stores who advertised what,
// and no values.
func newDHT(cfg settled, h host.Host) (*dht.IpfsDHT, error) {
	mode := dht.ModeAutoServer
	if cfg.ServeDHT {
		mode = dht.ModeServer
	}
	d, err := dht.New(h,
		dht.ProtocolPrefix(kadPrefix(cfg.Network)),
		dht.Mode(mode),
		dht.DisableValues(),
		dht.ProviderManagerOpts(recordOptions()...),
		dht.AddressFilter(addrFilter(cfg.Loopback, h.Network().InterfaceListenAddresses)),
	)
	if err != nil {
		return nil, fmt.Errorf("start the DHT: %w", err)
	}
	return d, nil
}

// recordOptions let what others advertised here end with its addresses.
func recordOptions() []records.Option {
	return []records.Option{records.ProvideValidity(ProvideValidity), records.ProviderAddrTTL(ProvideValidity)}
}

// addrFilter says which addresses are told to others and believed from them.
// Private ones are: souk works on a local network. Loopback ones only in
// loopback mode or where this machine has no other network, because what they
// lead to is another program for each reader.
func addrFilter(loopback bool, own func() ([]ma.Multiaddr, error)) func([]ma.Multiaddr) []ma.Multiaddr {
	return func(addrs []ma.Multiaddr) []ma.Multiaddr {
		keep := usable
		if loopback {
			keep = isLoopback
		} else if mine, err := own(); err == nil && allLoopback(mine) {
			keep = func(a ma.Multiaddr) bool { return isLoopback(a) || usable(a) }
		}
		out := slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return a == nil || !keep(a) })
		return out[:min(len(out), MaxPeerAddrs)]
	}
}

func usable(a ma.Multiaddr) bool {
	return !manet.IsIPLoopback(a) && !manet.IsIPUnspecified(a)
}

func allLoopback(addrs []ma.Multiaddr) bool {
	return len(addrs) > 0 && !slices.ContainsFunc(addrs, func(a ma.Multiaddr) bool { return !manet.IsIPLoopback(a) })
}
