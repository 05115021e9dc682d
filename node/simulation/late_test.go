package simulation

import (
	"errors"
	"slices"
	"time"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// silence is why a lease was given up that may be paid late by itself.
const silence = "silence"

func isLost(l ledger.Lease) bool {
	return l.State == market.Closed && l.Lost && l.Reason == silence && l.Started > 0
}

// catchUp goes on with the leases that were lost in a silence, and repeats what
// their provider hasn't heard.
func (c *client) catchUp(p *provider, channel market.Hash, all []books.Shown) {
	newest := map[market.Hash]books.Shown{}
	for _, s := range all {
		if was, ok := newest[s.Lease.Hash]; !ok || s.Receipt != nil && (was.Receipt == nil || s.Receipt.Seq > was.Receipt.Seq) {
			newest[s.Lease.Hash] = s
		}
	}
	for _, l := range c.disk.on(channel) {
		s, ok := newest[l.Hash]
		if !ok || l.State != market.Closed {
			continue
		}
		c.sayAgain(&slot{at: p}, l)
		if !isLost(l) {
			continue
		}
		if s.Receipt == nil || s.Receipt.Outcome == market.NotEnded {
			c.send(&p.node, "cancel", func() { p.cancelCame(l.Hash) })
		}
		c.send(&p.node, "attach", func() { p.attachCame(c, l.Hash, l.Countersigned.Seq) })
	}
}

// payLate judges and pays a receipt of a lost lease, as far as the bound allows.
func (c *client) payLate(p *provider, l ledger.Lease, r ledger.Receipt) {
	if r.Seq > l.Countersigned.Seq+1 {
		return
	}
	checked, err := c.judgeLate(l, r)
	var bad *books.Cheat
	switch {
	case errors.As(err, &bad) && bad.Unsure && (c.was || c.w.faults.skew):
		return
	case err != nil:
		c.w.wrong("%s holds a lost lease against an honest provider: %v", c.name, err)
		return
	case checked.Known:
		return
	}
	ch := c.channel(l.Channel)
	paid, err := c.side.PayLate(c.account(ch, l.Hash), l, checked, books.Bound{Given: c.disk.given[ch.ID]}, c.wall())
	if err != nil {
		c.w.say(&c.node, "refused: "+err.Error(), 0)
		if !slices.Contains(c.refused, l.Hash) {
			c.refused = append(c.refused, l.Hash)
		}
		return
	}
	_, due := sums(c.disk, ch.ID)
	more := paid.Channel.Voucher.Sub(ch.Voucher)
	if c.write("pays late", func() error {
		put(c.disk, c.disk.given, ch.ID, c.disk.given[ch.ID].Add(more))
		return paid.Store(c.disk)
	}) {
		c.w.model.paidLate(c, ch.ID, units(more), due)
		c.countersign(p, l, *paid.Receipt)
		c.tryAgain(p)
	}
	if c.up { // what came before its turn was dropped
		seq := c.disk.leases[l.Hash].Countersigned.Seq
		c.send(&p.node, "attach", func() { p.attachCame(c, l.Hash, seq) })
	}
}

// tryAgain goes on with the leases that were refused: what was prepaid for one
// that is paid now may cover them.
func (c *client) tryAgain(p *provider) {
	refused := c.refused
	c.refused = nil
	for _, h := range refused {
		switch l, err := c.disk.Lease(ledger.Client, h); {
		case err != nil: // a restored backup lacks it
		case c.providerOf(l) == p:
			c.send(&p.node, "attach", func() { p.attachCame(c, h, l.Countersigned.Seq) })
		default:
			c.refused = append(c.refused, h)
		}
	}
}

func (c *client) judgeLate(l ledger.Lease, r ledger.Receipt) (books.Checked, error) {
	d := c.deals[quoteHash(l.Quote)]
	checked, err := c.side.Read(r.Block, r.ProviderSignature, r.Body, d.quote.Provider)
	if err != nil {
		return checked, err
	}
	a := books.Against{Lease: l, Quote: d.quote, Channel: c.channel(l.Channel), Credit: l.Credit, Same: c.disk.receipt(l.Hash, r.Seq)}
	a.Previous = c.disk.receipt(l.Hash, l.Countersigned.Seq)
	a.Credit = a.Credit.Add(a.Channel.Credit)
	if now := c.wall(); now > l.Started {
		a.Passed = time.Duration(min(now-l.Started, 1<<40)) * time.Millisecond
	}
	return a.Judge(checked)
}

// paidLate sees that a client without anybody's word raises its voucher for
// lost leases by a twentieth of what it had countersigned there, and no more.
func (m *model) paidLate(c *client, id market.Hash, more, due uint64) {
	if m.given[id] += more; more > 0 && m.given[id]*20 > due && m.w.side != 2 { // a backup may have forgotten some of it
		m.w.wrong("%s raised its voucher by %d for lost leases with %d countersigned", c.name, m.given[id], due)
	}
}

// nothingCoveredIsOwed sees that a lease that was lost in a silence is
// countersigned to its end if a voucher covers that.
func (m *model) nothingCoveredIsOwed(p *provider, c *client) {
	if c.was || m.w.faults.skew {
		return // it can't tell how long its leases ran
	}
	id := c.channelWith(p)
	for _, l := range c.disk.on(id) {
		theirs := p.disk.leases[l.Hash].Newest
		if !isLost(l) || theirs.Seq <= l.Countersigned.Seq {
			continue
		}
		var others uint64
		for _, other := range c.disk.on(id) {
			if other.Hash != l.Hash {
				others += units(other.Paid)
			}
		}
		if have := units(c.disk.channels[id].Voucher); units(theirs.Charged)+others <= have {
			m.w.wrong("%s left lost lease %s unpaid at %s of %s, its voucher over %d covers it", c.name, l.Hash, l.Countersigned.Charged, theirs.Charged, have)
		}
	}
}
