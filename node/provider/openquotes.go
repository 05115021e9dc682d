package provider

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/capacity"
	"souk/protocol/market"
)

// openQuotes counts each peer's quotes that can still be accepted, and keeps
// what they hold of the machine.
type openQuotes struct {
	mu      sync.Mutex
	byHash  map[market.Hash]openQuote
	perPeer map[peer.ID]int
}

type openQuote struct {
	peer    peer.ID
	expires time.Time
	hold    *capacity.Reservation // nil for a stranger's
}

func newOpenQuotes() *openQuotes {
	return &openQuotes{byHash: map[market.Hash]openQuote{}, perPeer: map[peer.ID]int{}}
}

// add counts a quote unless its peer has OpenQuotes of them already.
func (o *openQuotes) add(hash market.Hash, q openQuote, now time.Time) bool {
	o.sweep(now)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.perPeer[q.peer] >= OpenQuotes {
		return false
	}
	o.byHash[hash] = q
	o.perPeer[q.peer]++
	return true
}

// take ends a quote's being open and hands over what it held.
func (o *openQuotes) take(hash market.Hash) *capacity.Reservation {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.remove(hash).hold
}

func (o *openQuotes) remove(hash market.Hash) openQuote {
	q, ok := o.byHash[hash]
	if !ok {
		return openQuote{}
	}
	delete(o.byHash, hash)
	if o.perPeer[q.peer]--; o.perPeer[q.peer] == 0 {
		delete(o.perPeer, q.peer)
	}
	return q
}

// sweep drops the quotes that ran out, with what they held, and names them.
func (o *openQuotes) sweep(now time.Time) (gone []market.Hash) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for h, q := range o.byHash {
		if now.After(q.expires) {
			o.remove(h)
			if q.hold != nil {
				q.hold.Release()
			}
			gone = append(gone, h)
		}
	}
	return gone
}
