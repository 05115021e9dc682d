package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// maxBlocked is the most peers that are blocked at once. Peer IDs are free, so
// the list must end somewhere; the block that would end first makes room.
const maxBlocked = 4096

// gater refuses connections with blocked peers, and in loopback mode with
// anything outside this machine.
type gater struct {
	loopback bool
	now      func() time.Time

	mu      sync.Mutex
	blocked map[peer.ID]time.Time // until when
}

func newGater(loopback bool, now func() time.Time) *gater {
	return &gater{loopback: loopback, now: now, blocked: make(map[peer.ID]time.Time)}
}

// block refuses p for d from now; a longer block that stands is kept.
func (g *gater) block(p peer.ID, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.now().Add(d)
	if until.Before(g.blocked[p]) {
		return
	}
	if _, known := g.blocked[p]; !known && len(g.blocked) >= maxBlocked {
		g.makeRoom()
	}
	g.blocked[p] = until
}

// makeRoom drops the blocks that have ended, or else the one that ends first.
func (g *gater) makeRoom() {
	now := g.now()
	var first peer.ID
	for p, until := range g.blocked {
		if !now.Before(until) {
			delete(g.blocked, p)
		} else if first == "" || until.Before(g.blocked[first]) {
			first = p
		}
	}
	if len(g.blocked) >= maxBlocked {
		delete(g.blocked, first)
	}
}

func (g *gater) isBlocked(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.blocked[p]
	if ok && !g.now().Before(until) {
		delete(g.blocked, p)
		return false
	}
	return ok
}

func (g *gater) permits(a ma.Multiaddr) bool {
	return !g.loopback || isLoopback(a)
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return !g.isBlocked(p) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gater) InterceptAddrDial(p peer.ID, a ma.Multiaddr) bool {
	return g.permits(a) && !g.isBlocked(p)
}

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gater) InterceptAccept(c network.ConnMultiaddrs) bool {
	return g.permits(c.RemoteMultiaddr())
}

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gater) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return !g.isBlocked(p)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gater) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return !g.isBlocked(c.RemotePeer()), 0
}

// isLoopback tells whether a leads to this machine, and directly.
func isLoopback(a ma.Multiaddr) bool {
	return manet.IsIPLoopback(a) && !isRelay(a)
}

func isRelay(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

var errNoDNS = errors.New("names are not looked up in loopback mode")

// noDNS is the resolver of loopback mode: a name in an address that a peer
// sent must not make this machine ask a name server.
type noDNS struct{}

func (noDNS) ResolveDNSAddr(_ context.Context, _ peer.ID, a ma.Multiaddr, _, _ int) ([]ma.Multiaddr, error) {
	return nil, fmt.Errorf("%s: %w", a, errNoDNS)
}

func (noDNS) ResolveDNSComponent(_ context.Context, a ma.Multiaddr, _ int) ([]ma.Multiaddr, error) {
	return nil, fmt.Errorf("%s: %w", a, errNoDNS)
}
