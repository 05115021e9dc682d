package p2p

import (
	"context"
	"io"
	"log/slog"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

// maxLocalDials is the most peers of the local network that are being
// connected to at once; more that are found meanwhile are left to the DHT.
const maxLocalDials = 16

// mdnsService is the service's name on the local network. The public network
// has the plain one, and the others one of their own, so that they don't mix.
func mdnsService(network string) string {
	if network == "souk" {
		return "_souk._udp"
	}
	return "_souk-" + network + "._udp"
}

// localPeers connects to what mDNS finds.
type localPeers struct {
	ctx    context.Context //nolint:containedctx // mDNS calls back without one
	tasks  *tasks
	host   host.Host
	filter func(peer.AddrInfo) peer.AddrInfo
	joined func()
	slots  chan struct{}
	log    *slog.Logger
}

// HandlePeerFound implements mdns.Notifee.
func (l *localPeers) HandlePeerFound(found peer.AddrInfo) {
	select {
	case l.slots <- struct{}{}:
	default:
		return
	}
	l.tasks.run(func() {
		if info := l.filter(found); !connected(l.host, info.ID) {
			l.connect(info)
		}
	})
	<-l.slots
}

func (l *localPeers) connect(info peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(l.ctx, ConnectTimeout)
	defer cancel()
	if err := l.host.Connect(ctx, info); err != nil {
		l.log.Debug("peer of the local network unreachable", "peer", info.ID, "reason", dialReason(err))
		return
	}
	l.joined()
}

// startLocal starts mDNS. That it can't run (no multicast here) is worth a
// warning, no more: bootstraps may do.
func startLocal(l *localPeers, network string) io.Closer {
	s := mdns.NewMdnsService(l.host, mdnsService(network), l)
	if err := s.Start(); err != nil {
		l.log.Warn("no discovery on the local network", "reason", err)
	}
	return s
}
