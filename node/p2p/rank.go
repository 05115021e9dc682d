package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// rankDials says when to dial which of a peer's addresses: TCP at once, QUIC and
// relays a moment later. libp2p's own order is the other way round; but inputs
// and outputs over TCP with TLS are several times as fast (docs/bench.md).
func rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	var tcp, others []ma.Multiaddr
	for _, a := range addrs {
		if isTCP(a) {
			tcp = append(tcp, a)
		} else {
			others = append(others, a)
		}
	}
	ranked := swarm.DefaultDialRanker(tcp)
	if len(tcp) == 0 {
		return swarm.DefaultDialRanker(others)
	}
	return append(ranked, delayed(swarm.DefaultDialRanker(others), tcpHead)...)
}

// tcpHead is the time that a TCP connection has before anything else is dialled,
// enough for a round trip of 150 ms.
const tcpHead = 250 * time.Millisecond

func delayed(dials []network.AddrDelay, by time.Duration) []network.AddrDelay {
	for i := range dials {
		dials[i].Delay += by
	}
	return dials
}

// isTCP tells a direct TCP address.
func isTCP(a ma.Multiaddr) bool {
	_, relayed := a.ValueForProtocol(ma.P_CIRCUIT)
	_, err := a.ValueForProtocol(ma.P_TCP)
	return relayed != nil && err == nil
}
