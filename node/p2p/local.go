package p2p

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// maxLocalDials is the most peers of the local network that are being
// connected to at once; more that are heard of meanwhile come again.
const maxLocalDials = 16

// localPeers connects to the nodes that mDNS hears of. It hears of each again
// and again, so a connection that was lost comes back.
type localPeers struct {
	ctx    context.Context //nolint:containedctx // the life of the node
	tasks  *tasks
	host   host.Host
	filter func(peer.AddrInfo) peer.AddrInfo
	joined func()
	slots  chan struct{}
	log    *slog.Logger
	twin   twin
}

// heard takes what another process on the local network says of itself.
func (l *localPeers) heard(of peer.AddrInfo) {
	if of.ID == l.host.ID() {
		l.meetTwin(of.Addrs)
		return
	}
	if connected(l.host, of.ID) {
		return
	}
	select {
	case l.slots <- struct{}{}:
	default:
		return
	}
	started := l.tasks.start(func() {
		defer func() { <-l.slots }()
		l.connect(l.filter(of))
	})
	if !started {
		<-l.slots
	}
}

func (l *localPeers) connect(info peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(l.ctx, ConnectTimeout)
	defer cancel()
	forgetBackoff(l.host, info.ID)
	if err := l.host.Connect(ctx, info); err != nil {
		l.log.Debug("peer of the local network unreachable", "peer", info.ID, "reason", dialReason(err))
		return
	}
	l.joined()
}

func (l *localPeers) meetTwin(addrs []ma.Multiaddr) {
	own, err := l.host.Network().InterfaceListenAddresses()
	if err != nil {
		own = nil
	}
	where := elsewhere(addrs, own)
	if l.twin.met(where) {
		l.log.Warn("another node on the local network has this node's key: stop one of them, or give it a key of its own", "at", where)
	}
}

// elsewhere is the IP address among addrs that tells best where a node is: the
// first one that isn't this machine's too, as Docker's bridge is.
func elsewhere(addrs, own []ma.Multiaddr) string {
	mine := map[string]bool{}
	for _, a := range own {
		mine[hostOf(a)] = true
	}
	for _, a := range addrs {
		if h := hostOf(a); h != "" && !manet.IsIPLoopback(a) && !mine[h] {
			return h
		}
	}
	return "this machine"
}

func hostOf(a ma.Multiaddr) string {
	ip, err := manet.ToIP(a)
	if err != nil {
		return ""
	}
	return ip.String()
}

// twin is another process with this node's key, if one was heard of lately.
type twin struct {
	mu   sync.Mutex
	at   string
	when time.Time
}

// met notes where the twin is, and tells whether that is news.
func (t *twin) met(at string) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	news = t.at != at || time.Since(t.when) > twinFor
	t.at, t.when = at, time.Now()
	return news
}

// lately is where the twin is; empty where there is none.
func (t *twin) lately() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == "" || time.Since(t.when) > twinFor {
		return ""
	}
	return t.at
}
