package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"souk/node/p2p"
	"souk/protocol/offer"
)

// search asks peers for offers, each at most once.
type search struct {
	e          *Engine
	want, most int         // answers that end a round; peers that are asked in all
	enough     func() bool // those that fit will do

	mu     sync.Mutex
	asked  map[peer.ID]bool
	skewed int // answered by another clock
}

// narrow looks under the first key, and under the others too when that ended
// with too little or takes long: each key costs the DHT as much as the first,
// and mostly that has all that a search wants.
func (s *search) narrow(ctx context.Context, k searchKeys, known []peer.AddrInfo) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	round := func(keys []p2p.Key, known []peer.AddrInfo) (done bool) {
		if done = s.run(ctx, keys, known) && s.enough(); done {
			cancel()
		}
		return done
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	first := make(chan bool, 1)
	wg.Go(func() { first <- round(k.first, known) })
	patience := time.NewTimer(s.e.cfg.Times.Alone)
	defer patience.Stop()
	select {
	case done := <-first:
		if done {
			return
		}
	case <-patience.C:
	}
	round(k.others, nil)
}

// run asks whom Find yields and the known peers, and tells whether it ended
// because as many as were wanted have answered.
func (s *search) run(ctx context.Context, keys []p2p.Key, known []peer.AddrInfo) (full bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, askAtOnce)
	var answered atomic.Int32
	var wg sync.WaitGroup
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
			if s.ask(ctx, info) && int(answered.Add(1)) >= s.want {
				cancel()
			}
		})
		return true
	}
	s.each(ctx, keys, known, ask)
	wg.Wait()
	return int(answered.Load()) >= s.want
}

// each gives do the known peers and those that are found, until it wants no more.
func (s *search) each(ctx context.Context, keys []p2p.Key, known []peer.AddrInfo, do func(peer.AddrInfo) bool) {
	for _, info := range known {
		if !do(info) {
			return
		}
	}
	for info := range s.e.cfg.Finder.Find(ctx, keys, s.most) {
		if !do(info) {
			return
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

// ask asks one peer and tells whether it has an offer of its own.
func (s *search) ask(ctx context.Context, info peer.AddrInfo) (own bool) {
	ctx, cancel := context.WithTimeout(ctx, askOffer)
	defer cancel()
	if err := s.e.cfg.Finder.Connect(ctx, info); err != nil {
		s.e.cfg.Log.Debug("a provider that was found can't be reached", "peer", info.ID, "err", err)
		return false
	}
	offers, sealed, err := offer.Ask(ctx, s.e.cfg.Host, info.ID, s.e.cfg.Network, offer.MaxAnswer)
	if err != nil {
		s.e.cfg.Log.Debug("a peer gave no offer", "peer", info.ID, "err", err)
		s.e.garbled(info.ID, err)
		if errors.Is(err, offer.ErrExpired) || errors.Is(err, offer.ErrAhead) {
			s.mu.Lock()
			s.skewed++
			s.mu.Unlock()
		}
		return false
	}
	for i, o := range offers {
		s.e.offers.Add(o, sealed[i])
		s.e.cfg.Host.Peerstore().AddAddrs(o.Peer, o.Addrs, peerstore.TempAddrTTL)
		own = own || o.Peer == info.ID
	}
	return own
}
