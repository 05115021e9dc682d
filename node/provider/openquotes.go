package provider

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/capacity"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// maxOpen is the most quotes that are open at once before strangers get none.
const maxOpen = 1024

// openQuotes counts each peer's quotes that can still be accepted, and keeps
// what they hold of the machine.
type openQuotes struct {
	mu      sync.Mutex
	byHash  map[market.Hash]openQuote
	perPeer map[peer.ID]map[market.Hash]bool
}

type openQuote struct {
	peer    peer.ID
	expires time.Time
	hold    *capacity.Reservation // nil for a stranger's
}

func newOpenQuotes() *openQuotes {
	return &openQuotes{byHash: map[market.Hash]openQuote{}, perPeer: map[peer.ID]map[market.Hash]bool{}}
}

// standing is what a client has earned here.
type standing struct {
	paid    bool // ever
	regular bool // as much as earns a tick of credit
}

func standingOf(known ledger.Peer) standing {
	return standing{paid: !known.Paid.IsZero(), regular: known.Receipts >= CreditEvery}
}

func (s standing) quotes() int {
	if s.regular {
		return RegularQuotes
	}
	return OpenQuotes
}

// room refuses a peer that has as many of them as it may, and one that never
// paid while there are maxOpen in all.
func (o *openQuotes) room(p peer.ID, s standing, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.roomLocked(p, s, now)
}

func (o *openQuotes) roomLocked(p peer.ID, s standing, now time.Time) error {
	open := 0
	for h := range o.perPeer[p] {
		if !now.After(o.byHash[h].expires) {
			open++
		}
	}
	switch {
	case open >= s.quotes() || len(o.perPeer[p]) >= 4*s.quotes():
		return wire.Refuse(wire.Busy, "this peer has %d open quotes already", s.quotes()).After(QuoteValidity)
	case !s.paid && len(o.byHash) >= maxOpen:
		return wire.Refuse(wire.Busy, "this provider has %d open quotes already", maxOpen).After(QuoteValidity)
	}
	return nil
}

// add counts a quote, if there is room for it.
func (o *openQuotes) add(hash market.Hash, q openQuote, s standing, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.roomLocked(q.peer, s, now); err != nil {
		return err
	}
	if o.perPeer[q.peer] == nil {
		o.perPeer[q.peer] = map[market.Hash]bool{}
	}
	o.byHash[hash] = q
	o.perPeer[q.peer][hash] = true
	return nil
}

// void gives back what a quote held; it counts until it runs out.
func (o *openQuotes) void(hash market.Hash) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q, ok := o.byHash[hash]
	if !ok {
		return
	}
	release(q.hold)
	q.hold = nil
	o.byHash[hash] = q
}

// yield gives back what a peer's open quotes hold, and tells whether that was
// anything. The quotes stay open, as a stranger's do: the first accept wins.
func (o *openQuotes) yield(p peer.ID) (any bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for h := range o.perPeer[p] {
		q := o.byHash[h]
		any = any || q.hold != nil
		release(q.hold)
		q.hold = nil
		o.byHash[h] = q
	}
	return any
}

// held is what open quotes hold, which the next accept may still get.
func (o *openQuotes) held() (all []capacity.Holding) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, q := range o.byHash {
		if q.hold != nil {
			all = append(all, q.hold.Holding())
		}
	}
	return all
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
	if delete(o.perPeer[q.peer], hash); len(o.perPeer[q.peer]) == 0 {
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
			release(q.hold)
			gone = append(gone, h)
		}
	}
	return gone
}
