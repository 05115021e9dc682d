package provider

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/offer"
)

// How a provider learns its neighbours' offers, to hand them on.
const (
	learnFirst  = 15 * time.Second // after the start
	learnEvery  = 4 * time.Minute  // well under an offer's validity; ± 20 %
	learnWithin = time.Minute      // one search and its questions
	learnPeers  = 8                // asked each time
	learnAtOnce = 4
)

// learn keeps the cache of offers fresh until the provider closes.
func (p *Provider) learn() {
	if p.Neighbours == nil {
		return
	}
	first := p.LearnAfter
	if first <= 0 {
		first = learnFirst
	}
	t := time.NewTimer(first)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.learnOnce(p.ctx)
			t.Reset(learnEvery*4/5 + rand.N(learnEvery*2/5)) //nolint:gosec // no secret
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *Provider) learnOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, learnWithin)
	defer cancel()
	search, stop := context.WithCancel(ctx)
	found := p.Neighbours(search)
	slots := make(chan struct{}, learnAtOnce)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	asked := map[peer.ID]bool{p.Host.ID(): true}
	for len(asked) <= learnPeers {
		select {
		case who, ok := <-found:
			if !ok {
				return
			}
			if asked[who.ID] {
				continue
			}
			asked[who.ID] = true
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer func() { <-slots }()
				p.learnFrom(ctx, who)
			})
		case <-ctx.Done():
			return
		}
	}
}

func (p *Provider) learnFrom(ctx context.Context, who peer.AddrInfo) {
	if err := p.Host.Connect(ctx, who); err != nil {
		p.Log.Debug("neighbour not reached", "peer", who.ID, "err", err)
		return
	}
	offers, sealed, err := offer.Ask(ctx, p.Host, who.ID, p.Network, offer.MaxAnswer)
	if err != nil {
		p.Log.Debug("neighbour gave no offer", "peer", who.ID, "err", err)
	}
	for i, o := range offers {
		if o.Peer != p.Host.ID() {
			p.Offers.Add(o, sealed[i])
		}
	}
}
