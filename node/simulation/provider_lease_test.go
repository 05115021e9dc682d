package simulation

import (
	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

func (p *provider) quoteAsked(c *client, slot int) {
	channel := c.channelWith(p)
	p.nonce++
	now := p.wall()
	q := market.Quote{
		Provider: p.side.Signer.Address(), Client: c.side.Signer.Address(), Channel: channel, TickUnits: tickMillis, TickPrice: market.NewAmount(tickPrice),
		MaxTicks: maxTicks, MaxMillis: maxTicks * tickMillis, ExpiresAt: now + 30*second, StartBy: now + 30*second + prepareTime, Nonce: market.Hash{p.id, p.nonce, byte(p.life), byte(p.era)},
	}
	t := market.Terms{PrepayTicks: 1, CreditTicks: p.credit, KeepUntil: q.StartBy + q.MaxMillis + keepTime}
	p.deals[q.Hash()] = deal{q, t, c}
	record := ledger.Quote{Hash: q.Hash(), Block: q.Encode(), Channel: channel, ExpiresAt: q.ExpiresAt}
	if p.write("quotes", func() error { return p.disk.PutQuote(record) }) {
		p.send(&c.node, "quote", func() { c.quoteCame(p, slot, deal{q, t, c}) })
	}
}

func (p *provider) acceptCame(c *client, d deal, docs ledger.Lease, v *books.Voucher) {
	if l, err := p.disk.Lease(ledger.Provider, docs.Hash); err == nil {
		p.send(&c.node, "accepted", func() { c.accepted(docs.Hash, l.ProviderSignature, nil) })
		return
	}
	refuse := func(err error) { p.send(&c.node, "refusal", func() { c.accepted(docs.Hash, nil, err) }) }
	if !p.agreed[d.quote.Channel] {
		refuse(errNotReconciled)
		return
	}
	q, ok := p.disk.quotes[d.quote.Hash()]
	if !ok {
		refuse(errUnknown)
		return
	}
	counter := books.Counter{Quote: q, Channel: p.channel(d.quote.Channel), Running: p.stakes(d.quote.Channel), CreditLeft: market.NewAmount(1 << 40)}
	docs.Role = ledger.Provider
	w, err := p.side.Accept(counter, books.Acceptance{Quote: d.quote, Terms: d.terms, Lease: docs, Voucher: v}, p.wall())
	if err != nil {
		refuse(err)
		return
	}
	if !p.write("accepts", func() error { return w.Store(p.disk) }) {
		return
	}
	r := p.runOf(*w.Lease)
	r.exchanged = true
	p.runs = append(p.runs, r)
	p.send(&c.node, "accepted", func() { c.accepted(docs.Hash, w.Lease.ProviderSignature, nil) })
	p.prepare(r)
}

// leaseAsked tells what became of a quote; an open one is void from then on.
func (p *provider) leaseAsked(c *client, quote, lease market.Hash) {
	q, ok := p.disk.quotes[quote]
	if ok && !q.Lease.IsZero() {
		l := p.disk.leases[q.Lease]
		p.send(&c.node, "accepted", func() { c.accepted(l.Hash, l.ProviderSignature, nil) })
		return
	}
	if ok && !q.Void {
		q.Void = true
		if !p.write("voids", func() error { return p.disk.PutQuote(q) }) {
			return
		}
	}
	p.send(&c.node, "void", func() { c.accepted(lease, nil, books.ErrVoid) })
}

// prepare waits for an attach until startBy, or for a minute.
func (p *provider) prepare(r *run) {
	if p.disk.leases[r.lease].State == market.Agreed && !p.step(r, market.Prepare) {
		p.finish(r, market.Expired)
		return
	}
	p.after(minute, func() {
		if r.proc == nil && r.ending == nil && !p.over(r) {
			p.finish(r, market.Expired)
		}
	})
}

// step moves the state on; false: it is too late, or the node has crashed.
func (p *provider) step(r *run, e market.Event) bool {
	return p.write(string(e), func() error {
		l := p.disk.leases[r.lease]
		next, err := market.Next(l.State, e, market.Moment{Now: p.wall(), ExpiresAt: r.quote.ExpiresAt, StartBy: r.quote.StartBy})
		if err != nil {
			return err
		}
		if l.State = next; e == market.Start {
			l.Started = p.wall()
		}
		return books.PutLease(p.disk, l)
	})
}

func (p *provider) over(r *run) bool { return books.Over(p.disk.leases[r.lease].State) }

func (p *provider) find(lease market.Hash) *run {
	for _, r := range p.runs {
		if r.lease == lease {
			return r
		}
	}
	return nil
}

// attachCame starts the process, and sends what the client lacks.
func (p *provider) attachCame(c *client, lease market.Hash, seq uint32) {
	l, err := p.disk.Lease(ledger.Provider, lease)
	if err != nil || l.Lost && l.Countersigned.Seq == l.Newest.Seq {
		p.send(&c.node, "gone", func() { c.gone(lease) })
		return
	}
	if r := p.find(lease); r != nil {
		p.exchange(r)
		if l.State == market.Preparing && r.proc == nil && r.ending == nil {
			p.launch(r)
		}
	}
	for n := seq + 1; n <= l.Newest.Seq; n++ {
		p.sendReceipt(c, lease, n)
	}
	if seq == l.Newest.Seq && seq > 0 && !l.Lost && l.Outcome != market.NotEnded {
		p.sendReceipt(c, lease, seq) // now it learns that it was the last
	}
}

func (p *provider) launch(r *run) {
	if !p.step(r, market.Start) {
		if p.up {
			p.finish(r, market.Expired)
		}
		return
	}
	w := p.w
	r.proc = &process{began: w.now, ends: w.now + min(w.between(second, 15*tickMillis), r.quote.MaxMillis)}
	p.processes[r.lease] = r.proc
	p.beginGrace(r)
	p.supervise(r)
}

func (p *provider) sendReceipt(c *client, lease market.Hash, seq uint32) {
	signed := p.disk.receipt(lease, seq)
	if signed == nil {
		return
	}
	p.w.model.spokeReceipt(p, *signed)
	p.send(&c.node, "receipt", func() { c.receiptCame(p, *signed) })
}
