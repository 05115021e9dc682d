package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"souk/node/device"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

const (
	anyRegion  = p2p.AnyRegion
	wantAnswer = 8   // providers that answered end the search (DESIGN §7), unless all are wanted
	askAtOnce  = 8   // offers asked at the same time
	maxAsked   = 128 // peers asked in one search
	minFit     = 3   // fewer that fit widen the search
	askOffer   = 5 * time.Second
	maxKnown   = 32 // peers that were good before, asked too
	maxOffers  = 1024
)

// find gives the newest offers that could be had, nearest cells first, and
// those of neighbours and of peers that were good before.
func (e *Engine) find(ctx context.Context, n Need, fits func(offer.Offer) bool) ([]offer.Offer, error) {
	narrow, wide, err := e.keys(n)
	if err != nil {
		return nil, err
	}
	known, err := e.goodPeers(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Times.Find)
	defer cancel()
	s := &search{e: e, want: wantAnswer, most: maxAsked, asked: map[peer.ID]bool{e.cfg.Host.ID(): true}}
	if n.All {
		s.want, s.most = maxOffers, maxOffers
	}
	s.run(ctx, narrow, known)
	if len(wide) > 0 && countFit(e.cachedOffers(), fits) < minFit {
		s.run(ctx, wide, nil)
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

// keys are the cells to look under: the exact ones, and those to widen to.
func (e *Engine) keys(n Need) (narrow, wide []p2p.Key, err error) {
	d, err := n.devices()
	if err != nil {
		return nil, nil, err
	}
	all, err := p2p.AllKey(e.cfg.Network, p2p.Place{})
	if err != nil {
		return nil, nil, err
	}
	narrow = append(narrow, all)
	tiers := p2p.TiersFrom(uint64(max(d.VRAM, 0))) //nolint:gosec // not negative
	for i, tier := range tiers {
		exact, err := p2p.CellKey(e.cfg.Network, n.Region, tier, p2p.Place{})
		if err != nil {
			return nil, nil, err
		}
		if i == 0 {
			narrow = append(narrow, exact)
		} else {
			wide = append(wide, exact)
		}
	}
	return e.modelKeys(d, narrow), wide, nil
}

// modelKeys adds the keys of the model that is needed; a name that no key can have adds none.
func (e *Engine) modelKeys(d device.Need, keys []p2p.Key) []p2p.Key {
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
	err := e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
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

// search asks peers for offers, each at most once.
type search struct {
	e        *Engine
	want     int // answers that end the search
	most     int // peers that are asked
	mu       sync.Mutex
	asked    map[peer.ID]bool
	answered int
	skewed   int // answered by another clock
}

// run asks whom Find yields and the known peers until enough have answered.
func (s *search) run(ctx context.Context, keys []p2p.Key, known []peer.AddrInfo) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, askAtOnce)
	var wg sync.WaitGroup
	defer wg.Wait()
	ask := func(info peer.AddrInfo) bool {
		if !s.take(info.ID) {
			return true
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if s.ask(ctx, info) {
				cancel()
			}
		})
		return true
	}
	for _, info := range known {
		if !ask(info) {
			return
		}
	}
	for info := range s.e.cfg.Finder.Find(ctx, keys, s.most) {
		if !ask(info) {
			break
		}
	}
}

func (s *search) take(id peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked[id] || len(s.asked) > s.most {
		return false
	}
	s.asked[id] = true
	return true
}

// ask asks one peer and tells whether enough have answered now.
func (s *search) ask(ctx context.Context, info peer.AddrInfo) (enough bool) {
	ctx, cancel := context.WithTimeout(ctx, askOffer)
	defer cancel()
	if err := s.e.cfg.Finder.Connect(ctx, info); err != nil {
		s.e.cfg.Log.Debug("a provider that was found can't be reached", "peer", info.ID, "err", err)
		return false
	}
	offers, sealed, err := offer.Ask(ctx, s.e.cfg.Host, info.ID, s.e.cfg.Network, offer.MaxAnswer)
	if err != nil {
		s.e.cfg.Log.Debug("a peer gave no offer", "peer", info.ID, "err", err)
		if errors.Is(err, offer.ErrExpired) || errors.Is(err, offer.ErrAhead) {
			s.mu.Lock()
			s.skewed++
			s.mu.Unlock()
		}
		return false
	}
	own := false
	for i, o := range offers {
		s.e.offers.Add(o, sealed[i])
		s.e.cfg.Host.Peerstore().AddAddrs(o.Peer, o.Addrs, peerstore.TempAddrTTL)
		own = own || o.Peer == info.ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if own {
		s.answered++
	}
	return s.answered >= s.want
}
