package provider

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/money"
	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// cover is what a channel may go on with, leaving one lease's own tick out.
func (p *Provider) cover(ch ledger.Channel, except market.Hash) market.Cover {
	c := market.Cover{Voucher: ch.Voucher, Signed: ch.Signed}
	p.mu.Lock()
	defer p.mu.Unlock()
	for h, l := range p.leases {
		if l.channel != ch.ID || !l.running() {
			continue
		}
		c.Credit = c.Credit.Add(l.credits())
		l.mu.Lock()
		c.Started = c.Started.Add(l.unsigned)
		if h != except {
			c.Started = c.Started.Add(l.nextTickLocked())
		}
		l.mu.Unlock()
	}
	return c
}

// credits is what the lease may run ahead of the voucher, in money.
func (l *lease) credits() market.Amount {
	return l.quote.TickPrice.Times(uint64(l.terms.CreditTicks))
}

// creditLeft is what of the caps no running lease uses, for one more of a client.
func (p *Provider) creditLeft(client peer.ID) market.Amount {
	var his, all market.Amount
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.leases {
		if !l.running() {
			continue
		}
		all = all.Add(l.credits())
		if l.peer == client {
			his = his.Add(l.credits())
		}
	}
	return market.MinAmount(p.Caps.Peer.Sub(his), p.Caps.Total.Sub(all))
}

// affords refuses a lease whose credit, promised when it was quoted, other
// leases have used up meanwhile.
func (p *Provider) affords(client peer.ID, a leases.Accepted) error {
	credit := a.Quote.TickPrice.Times(uint64(a.Terms.CreditTicks))
	if left := p.creditLeft(client); left.Less(credit) {
		return wire.Refuse(wire.Credit, "the quote gives credit of %s USD and other leases have used it up", money.Format(credit)).
			Near("a new quote, with credit of at most %s USD", money.Format(left))
	}
	return nil
}

// disputed says, in a refusal, what of the signed charge is of ended leases
// and was never countersigned: it has to be covered too.
func (p *Provider) disputed(ch ledger.Channel) string {
	open := ch.Signed.Sub(ch.Due)
	p.mu.Lock()
	for _, l := range p.leases {
		if l.channel == ch.ID && l.running() {
			rec, _, _ := l.snapshot()
			open = open.Sub(rec.Newest.Charged.Sub(rec.Countersigned.Charged))
		}
	}
	p.mu.Unlock()
	if open.IsZero() {
		return ""
	}
	return fmt.Sprintf(", of which %s USD is for receipts of earlier leases that this peer has not countersigned", money.Format(open))
}
