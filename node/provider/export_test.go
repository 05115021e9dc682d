package provider

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/market"
)

// OpenUp opens n quotes of such peers, and gives the first refusal.
func OpenUp(n int, known ledger.Peer, peers func(i int) peer.ID) error {
	o, now := newOpenQuotes(), time.Unix(1_800_000_000, 0)
	for i := range n {
		q := openQuote{peer: peers(i), expires: now.Add(QuoteValidity)}
		if err := o.add(market.BlockHash(fmt.Append(nil, i)), q, standingOf(known), now); err != nil {
			return err
		}
	}
	return nil
}

// SilentFor has a lease wait for something that comes after so long.
func SilentFor(silence, patience time.Duration) error {
	l := &lease{changed: make(chan struct{})}
	var came atomic.Bool
	defer time.AfterFunc(silence, func() {
		came.Store(true)
		l.wake()
	}).Stop()
	return l.await(context.Background(), patience, func() (bool, error) { return came.Load(), nil })
}

// CreditFor is the credit of a client with so many countersigned receipts.
func (p *Provider) CreditFor(receipts uint64) uint32 {
	return p.creditTicks("client", ledger.Peer{Receipts: receipts})
}
