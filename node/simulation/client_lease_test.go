package simulation

import (
	"errors"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// poke does what is due for a slot, again and again.
func (c *client) poke(s *slot) {
	c.after(c.w.between(askAgain/2, askAgain), func() { c.poke(s) })
	if s.lease.IsZero() {
		c.seek(s)
		return
	}
	l := c.disk.leases[s.lease]
	if l.State == market.Closed {
		s.lease, s.at = market.Hash{}, nil
		return
	}
	if c.w.now-s.heard > lostAfter && !settling(l) {
		c.change(s, "gives up", func(l ledger.Lease) (ledger.Lease, error) { return books.GiveUp(l, silence, c.wall()), nil })
		c.agreed[s.at] = false
		return
	}
	if !c.agreed[s.at] {
		c.askStatus(s.at)
		return
	}
	c.goOn(s, l)
}

func settling(l ledger.Lease) bool {
	return l.State == market.Finishing && l.Outcome != market.NotEnded
}

// seek begins the next job.
func (c *client) seek(s *slot) {
	if c.w.calm && !s.wants || c.jobs == 0 {
		return
	}
	if s.at == nil || c.w.rng.IntN(4) == 0 {
		s.at = c.w.provs[c.w.rng.IntN(len(c.w.provs))]
	}
	if !c.agreed[s.at] {
		c.askStatus(s.at)
		return
	}
	p := s.at
	s.wants = true
	c.send(&p.node, "quote?", func() { p.quoteAsked(c, s.n) })
}

// quoteCame leases what was quoted. That a quote came before, for an earlier
// job, is for the books to notice.
func (c *client) quoteCame(p *provider, n int, d deal) {
	s := c.slots[n]
	if !s.wants || !s.lease.IsZero() || s.at != p || !c.agreed[p] {
		return
	}
	doc := market.Lease{QuoteHash: d.quote.Hash(), JobHash: market.Hash{1}}
	l := ledger.Lease{Hash: doc.Hash(), Quote: d.quote.Encode()}
	_, err := c.disk.Lease(ledger.Client, l.Hash)
	w, err := c.side.Lease(c.account(c.channel(d.quote.Channel), l.Hash), l, d.quote, d.terms, err == nil, c.wall())
	s.wants = false
	if err != nil {
		c.w.say(&c.node, "refused: "+err.Error(), 0)
		return
	}
	c.deals[d.quote.Hash()] = d
	if !c.write("leases", func() error { return w.Store(c.disk) }) {
		return
	}
	c.jobs--
	s.lease, s.fresh, s.here, s.tries, s.settles, s.heard = l.Hash, true, false, 0, 0, c.w.now
	c.goOn(s, *w.Lease)
}

// goOn does what the lease's state asks for.
func (c *client) goOn(s *slot, l ledger.Lease) {
	p := s.at
	switch {
	case l.State == market.Quoted:
		d := c.deals[quoteHash(l.Quote)]
		if s.tries++; s.fresh && s.tries <= 3 {
			v, _ := c.show(d.quote.Channel, nil)
			c.spoke(d.quote.Channel, v)
			docs := ledger.Lease{Hash: l.Hash, Channel: l.Channel, Quote: l.Quote, ClientSignature: l.ClientSignature}
			c.send(&p.node, "accept", func() { p.acceptCame(c, d, docs, v) })
			return
		}
		c.send(&p.node, "lease?", func() { p.leaseAsked(c, d.quote.Hash(), l.Hash) })
	case l.State == market.Agreed:
		q := c.deals[quoteHash(l.Quote)].quote
		if c.change(s, "asks for the start", func(l ledger.Lease) (ledger.Lease, error) { return books.Ask(l, q, s.fresh, c.wall()) }) {
			s.here, s.began = s.fresh, c.w.now
			c.attach(s)
		}
	case settling(l):
		if s.settles++; s.settles > 3 {
			c.change(s, "closes unsettled", func(l ledger.Lease) (ledger.Lease, error) { return books.Break(l, l.Outcome, "", c.wall()), nil })
			return
		}
		c.sayAgain(s, l)
		c.attach(s)
	default:
		if c.w.chance(0.02) && !l.Cancelled {
			c.change(s, "cancels", func(l ledger.Lease) (ledger.Lease, error) { l.Cancelled = true; return l, nil })
		}
		if l.Cancelled {
			c.send(&p.node, "cancel", func() { p.cancelCame(l.Hash) })
		}
		c.sayAgain(s, l)
		c.attach(s)
	}
}

func (c *client) attach(s *slot) {
	l, p := c.disk.leases[s.lease], s.at
	c.send(&p.node, "attach", func() { p.attachCame(c, l.Hash, l.Countersigned.Seq) })
}

// accepted is the answer to an accept, or what became of it.
func (c *client) accepted(lease market.Hash, signature []byte, refused error) {
	s := c.slotOf(lease)
	if s == nil || c.disk.leases[lease].State != market.Quoted {
		return
	}
	s.heard = c.w.now
	if errors.Is(refused, errNotReconciled) {
		c.agreed[s.at] = false
		return
	}
	if refused != nil {
		c.change(s, "is refused", func(l ledger.Lease) (ledger.Lease, error) { return books.Decline(l, refused.Error(), c.wall()) })
		return
	}
	q := c.deals[quoteHash(c.disk.leases[lease].Quote)].quote
	sig, _ := market.SignatureFrom(signature)
	if c.change(s, "agrees", func(l ledger.Lease) (ledger.Lease, error) { return books.Agree(l, q, sig, c.wall()) }) {
		c.goOn(s, c.disk.leases[lease])
	}
}

func (c *client) settled(lease market.Hash, seq uint32) {
	s := c.slotOf(lease)
	if s == nil {
		return
	}
	s.heard = c.w.now
	if l := c.disk.leases[lease]; settling(l) && l.Countersigned.Seq == seq {
		c.change(s, "closes", func(l ledger.Lease) (ledger.Lease, error) { return books.Break(l, l.Outcome, "", c.wall()), nil })
	}
}

// gone is a provider that doesn't go on with a lease.
func (c *client) gone(lease market.Hash) {
	if s := c.slotOf(lease); s != nil && c.disk.leases[lease].State.Live() {
		c.change(s, "learns that it is gone", func(l ledger.Lease) (ledger.Lease, error) { return books.GiveUp(l, "gone", c.wall()), nil })
	}
}
