package p2p

import (
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
)

// maxRegulars is the most peers that are regulars at once; who became one
// first makes room.
const maxRegulars = 256

// regulars are the peers that this node trades with. They have more streams
// than strangers: identities cost nothing, having paid does.
type regulars = lru.Cache[peer.ID, struct{}]

func newRegulars() *regulars {
	c, err := lru.New[peer.ID, struct{}](maxRegulars)
	if err != nil {
		panic(err) // only a size of zero or less is refused
	}
	return c
}

// limiter gives regulars their own limits; libp2p asks it once for each peer,
// at its first connection.
type limiter struct {
	rcmgr.Limiter
	regulars *regulars
}

func (l limiter) GetPeerLimits(p peer.ID) rcmgr.Limit {
	if l.regulars.Contains(p) {
		return regularLimit()
	}
	return l.Limiter.GetPeerLimits(p)
}

func regularLimit() rcmgr.Limit {
	limits := soukPeer(RegularStreams, RegularMemory)
	built := limits.Build(&rcmgr.BaseLimit{})
	return &built
}

// MakeRegular lets a peer have RegularStreams at once, for as long as others
// don't push it out.
func (n *Node) MakeRegular(p peer.ID) {
	if n.regulars.Contains(p) {
		return
	}
	n.regulars.Add(p, struct{}{})
	manager := n.host.Network().ResourceManager()
	err := manager.ViewPeer(p, func(s network.PeerScope) error {
		if s, ok := s.(rcmgr.ResourceScopeLimiter); ok {
			s.SetLimit(regularLimit())
		}
		return nil
	})
	if err != nil {
		n.cfg.Log.Debug("a regular keeps a stranger's limits", "peer", p, "err", err)
	}
}

// IsRegular implements wire.Peers.
func (n *Node) IsRegular(p peer.ID) bool { return n.regulars.Contains(p) }
