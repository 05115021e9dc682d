package offer

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
)

// Cache holds the newest offer of each peer, in bounded memory. It is safe
// for concurrent use.
type Cache struct {
	mu     sync.Mutex
	offers *lru.Cache[peer.ID, cached]
}

type cached struct {
	offer  Offer
	sealed []byte
	twice  bool // two offers bore this sequence: neither counts
}

// NewCache makes a cache of at most size offers.
func NewCache(size int) (*Cache, error) {
	c, err := lru.New[peer.ID, cached](size)
	if err != nil {
		return nil, err
	}
	return &Cache{offers: c}, nil
}

// Add keeps an offer that Open accepted if its sequence is the highest seen.
// Two different offers with one sequence cancel each other.
func (c *Cache) Add(o Offer, sealed []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.offers.Get(o.Peer)
	switch {
	case !ok || o.Sequence > old.offer.Sequence:
		c.offers.Add(o.Peer, cached{offer: o, sealed: sealed})
	case o.Sequence == old.offer.Sequence && !same(o, old.offer):
		old.twice = true
		c.offers.Add(o.Peer, old)
	}
}

// same compares what two offers say. Their envelopes may differ: whoever hands
// one on can pad it, and must not cancel another's offer by that.
func same(a, b Offer) bool {
	var x, y pb.Offer
	fill(&x, a)
	fill(&y, b)
	return proto.Equal(&x, &y)
}

// Get gives a peer's newest offer, if it is still good at now.
func (c *Cache) Get(p peer.ID, now time.Time) (Offer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.offers.Peek(p)
	if !ok || !e.fresh(now) {
		return Offer{}, false
	}
	return e.offer, true
}

// Fresh gives up to limit good offers and what they were read from, the most
// recently added first.
func (c *Cache) Fresh(now time.Time, limit int) (offers []Offer, sealed [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := c.offers.Keys() // oldest first
	for i := len(keys) - 1; i >= 0 && len(offers) < limit; i-- {
		if e, ok := c.offers.Peek(keys[i]); ok && e.fresh(now) {
			offers, sealed = append(offers, e.offer), append(sealed, e.sealed)
		}
	}
	return offers, sealed
}

func (e cached) fresh(now time.Time) bool { return !e.twice && now.Before(e.offer.ExpiresAt) }
