package provider

import (
	"fmt"
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

// CreditFor is the credit of a client with so many countersigned receipts.
func (p *Provider) CreditFor(receipts uint64) uint32 {
	return p.creditTicks("client", ledger.Peer{Receipts: receipts})
}
