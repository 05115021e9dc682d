package p2p

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// relaySource offers the network's connected DHT servers as relays to a node
// that can't be reached. It exists before the host and the DHT it draws on.
type relaySource struct {
	mu    sync.Mutex
	host  host.Host
	peers func() map[peer.ID]bool
}

func (r *relaySource) use(h host.Host, peers func() map[peer.ID]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host, r.peers = h, peers
}

// candidates implements autorelay.PeerSource.
func (r *relaySource) candidates(_ context.Context, limit int) <-chan peer.AddrInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(chan peer.AddrInfo, max(limit, 0))
	defer close(out)
	if r.host == nil {
		return out
	}
	for p := range r.peers() {
		if len(out) == cap(out) {
			break
		}
		out <- r.host.Peerstore().PeerInfo(p)
	}
	return out
}
