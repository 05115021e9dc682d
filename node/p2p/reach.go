package p2p

import (
	"cmp"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// MaxAnnounced is the most addresses that an offer announces (DESIGN §7).
const MaxAnnounced = 8

// ReachState says who can connect to this node.
type ReachState string

// The states of reachability.
const (
	ReachUnknown  ReachState = "unknown"  // nobody has tried yet
	ReachPublic   ReachState = "public"   // others confirmed it
	ReachPrivate  ReachState = "private"  // others failed: only the local network, relays and hole punching
	ReachLoopback ReachState = "loopback" // only this machine, on purpose
)

// Reach is who can connect to this node, and where.
type Reach struct {
	State ReachState
	// Addrs may be announced, without the peer ID, best first, at most MaxAnnounced.
	Addrs []ma.Multiaddr
}

// reachability collects what libp2p finds out about this node's addresses.
type reachability struct {
	changed signal

	mu        sync.Mutex
	state     network.Reachability
	confirmed []ma.Multiaddr
}

func (r *reachability) update(change func(*reachability)) {
	r.mu.Lock()
	change(r)
	r.mu.Unlock()
	r.changed.fire()
}

func (r *reachability) current() (ReachState, []ma.Multiaddr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.confirmed) > 0 || r.state == network.ReachabilityPublic:
		return ReachPublic, r.confirmed
	case r.state == network.ReachabilityPrivate:
		return ReachPrivate, nil
	}
	return ReachUnknown, nil
}

// announced orders addrs by how likely a stranger is to get through, and cuts.
func announced(addrs, confirmed []ma.Multiaddr) []ma.Multiaddr {
	rank := func(a ma.Multiaddr) int {
		switch {
		case slices.ContainsFunc(confirmed, a.Equal):
			return 0
		case isRelay(a):
			return 2
		case manet.IsPublicAddr(a):
			return 1
		}
		return 3
	}
	out := slices.Clone(addrs)
	slices.SortStableFunc(out, func(a, b ma.Multiaddr) int { return cmp.Compare(rank(a), rank(b)) })
	return out[:min(len(out), MaxAnnounced)]
}
