package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"souk/node/device"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

const (
	anyRegion  = p2p.AnyRegion
	wantAnswer = 8   // providers that answered end a round of the search (DESIGN §7), unless all are wanted
	askAtOnce  = 8   // offers asked at the same time
	maxAsked   = 128 // peers asked in one search
	minFit     = 3   // fewer that fit widen the search
	askOffer   = 5 * time.Second
	maxKnown   = 32 // peers that were good before, asked too
	maxOffers  = 1024
	// recentAgain is how long a search counts for a job that has searched before.
	recentAgain = 2 * time.Second
)

// find gives the newest offers that could be had, nearest cells first, and
// those of neighbours and of peers that were good before.
func (e *Engine) find(ctx context.Context, n Need, fits func(offer.Offer) bool) ([]offer.Offer, error) {
	k, err := e.keys(n)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, e.cfg.Times.Find)
	defer cancel()
	s := &search{e: e, want: wantAnswer, most: maxAsked, asked: map[peer.ID]bool{e.cfg.Host.ID(): true}}
	s.enough = func() bool { return countFit(e.cachedOffers(), fits) >= minFit }
	if n.All {
		s.want, s.most = maxOffers, maxOffers
		k.first, k.others = append(k.first, k.others...), nil
	}
	fresh := e.cfg.Times.Recent
	switch {
	case n.All:
		fresh = 0 // somebody wants to know who is there now
	case n.again:
		fresh = min(fresh, recentAgain)
	}
	e.searches.share(limited, fmt.Sprint(k, n.All), fresh, e.cfg.Clock.Mono, func() bool { return countFit(e.cachedOffers(), fits) > 0 }, func() {
		var known []peer.AddrInfo
		if known, err = e.goodPeers(ctx); err != nil {
			return
		}
		s.narrow(limited, k, known)
		if len(k.wide) > 0 && !s.enough() {
			s.run(limited, k.wide, nil)
		}
	})
	if err != nil {
		return nil, err
	}
	offers := e.cachedOffers()
	if len(offers) == 0 && s.skewed > 0 {
		return nil, wire.Refuse(wire.ClockSkew, "%s answered with offers that are long over or from the future", countOf(s.skewed)).
			Near("clocks at most %s apart: set the one that is wrong, here that is probably this machine's", offer.Tolerance)
	}
	return offers, nil
}

func countFit(offers []offer.Offer, fits func(offer.Offer) bool) (n int) {
	for _, o := range offers {
		if fits(o) {
			n++
		}
	}
	return n
}

func (e *Engine) cachedOffers() []offer.Offer {
	fresh, _ := e.offers.Fresh(e.cfg.Clock.Now(), maxOffers)
	return slices.DeleteFunc(fresh, func(o offer.Offer) bool {
		return o.Network != e.cfg.Network || o.Peer == e.cfg.Host.ID()
	})
}

// searchKeys are what to look under: where most are likely to fit; where else
// some may; and what to widen to.
type searchKeys struct{ first, others, wide []p2p.Key }

// keys are the model's first, else the exact cell's; everybody's where a device
// of any size will do or none is needed, since that may be in every cell.
func (e *Engine) keys(n Need) (k searchKeys, err error) {
	d, err := n.devices()
	if err != nil {
		return k, err
	}
	all, err := p2p.AllKey(e.cfg.Network, p2p.Place{})
	if err != nil {
		return k, err
	}
	tiers := p2p.TiersFrom(uint64(max(d.VRAM, 0))) //nolint:gosec // not negative
	cells, err := p2p.CellKeys(e.cfg.Network, n.Region, tiers, p2p.Place{})
	if err != nil {
		return k, err
	}
	narrow := e.modelKeys(d)
	if len(narrow) == 0 && tiers[0] == 0 {
		narrow = append(narrow, all, cells[0])
	} else {
		narrow = append(narrow, cells[0], all)
	}
	return searchKeys{first: narrow[:1], others: narrow[1:], wide: cells[1:]}, nil
}

// modelKeys are those of the model that is needed, the narrowest first; a name that no key can have gives none.
func (e *Engine) modelKeys(d device.Need) (keys []p2p.Key) {
	for _, slug := range d.Slugs() {
		if k, err := p2p.ModelKey(e.cfg.Network, slug, p2p.Place{}); err == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// goodPeers are those that ended leases well, the most reliable first.
func (e *Engine) goodPeers(ctx context.Context) ([]peer.AddrInfo, error) {
	var known []ledger.Peer
	err := e.cfg.Ledger.Peek(ctx, func(tx *ledger.Tx) error {
		for p, err := range tx.Peers() {
			if err != nil {
				return err
			}
			if p.Good > 0 && p.Cheated == 0 {
				known = append(known, p)
			}
		}
		return nil
	})
	slices.SortStableFunc(known, func(a, b ledger.Peer) int { return compare(b.Good, a.Good) })
	infos := make([]peer.AddrInfo, 0, min(len(known), maxKnown))
	for _, p := range known[:min(len(known), maxKnown)] {
		if id, err := peer.Decode(p.ID); err == nil {
			infos = append(infos, peer.AddrInfo{ID: id, Addrs: parseAddrs(p.Addrs)})
		}
	}
	return infos, err
}

func parseAddrs(texts []string) (addrs []ma.Multiaddr) {
	for _, t := range texts {
		if a, err := ma.NewMultiaddr(t); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
