package p2p

import (
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"souk/internal/cache"
)

// maxRegulars is the most peers that this node trades with which have more room
// than strangers; who came first makes room.
const maxRegulars = 256

// dealing is which way a peer may have more streams: a client that pays opens
// them, and to a provider this node opens them. Identities cost nothing, having
// paid does, and a node need not be kept from itself.
type dealing struct{ pays, sells bool }

// regulars are the peers that this node trades with.
type regulars = lru.Cache[peer.ID, dealing]

func newRegulars() *regulars { return cache.New[peer.ID, dealing](maxRegulars) }

// limiter gives regulars their own limits; libp2p asks it once for each peer,
// at its first connection.
type limiter struct {
	rcmgr.Limiter
	regulars *regulars
}

func (l limiter) GetPeerLimits(p peer.ID) rcmgr.Limit {
	if d, ok := l.regulars.Peek(p); ok {
		return d.limit()
	}
	return l.Limiter.GetPeerLimits(p)
}

func (d dealing) limit() rcmgr.Limit {
	limits := soukPeer(PeerStreams, RegularMemory)
	if d.pays {
		limits.StreamsInbound = RegularStreams
	}
	if d.sells {
		limits.StreamsOutbound = RegularStreams
	}
	limits.Streams = limits.StreamsInbound + limits.StreamsOutbound
	built := limits.Build(&rcmgr.BaseLimit{})
	return &built
}

// MakeRegular lets a client that pays have RegularStreams at once, for as long
// as others don't push it out.
func (n *Node) MakeRegular(p peer.ID) { n.deal(p, dealing{pays: true}) }

// MakeSupplier lets this node have as many to a provider that it buys from.
func (n *Node) MakeSupplier(p peer.ID) { n.deal(p, dealing{sells: true}) }

func (n *Node) deal(p peer.ID, d dealing) {
	old, _ := n.regulars.Get(p)
	d = dealing{pays: old.pays || d.pays, sells: old.sells || d.sells}
	if d == old {
		return
	}
	n.regulars.Add(p, d)
	err := n.host.Network().ResourceManager().ViewPeer(p, func(s network.PeerScope) error {
		if s, ok := s.(rcmgr.ResourceScopeLimiter); ok {
			s.SetLimit(d.limit())
		}
		return nil
	})
	if err != nil {
		n.cfg.Log.Debug("a regular keeps a stranger's limits", "peer", p, "err", err)
	}
}

// IsRegular implements wire.Peers.
func (n *Node) IsRegular(p peer.ID) bool {
	d, _ := n.regulars.Peek(p)
	return d.pays
}
