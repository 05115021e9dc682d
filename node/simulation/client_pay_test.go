package simulation

import (
	"errors"
	"time"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// receiptCame judges and pays. What is ahead of the next receipt is dropped:
// streams deliver in order, or break off.
func (c *client) receiptCame(p *provider, r ledger.Receipt) {
	s := c.slotOf(r.Lease)
	l := c.disk.leases[r.Lease]
	if isLost(l) && c.agreed[p] {
		c.payLate(p, l, r)
	}
	if s == nil || !c.agreed[p] {
		return
	}
	s.heard = c.w.now
	if !l.State.Live() || r.Seq > l.Countersigned.Seq+1 {
		return
	}
	checked, ok := c.judge(s, l, r)
	if !ok || checked.Known {
		return
	}
	if checked.Receipt.Outcome != market.NotEnded {
		if !c.write("keeps the last receipt", func() error {
			w, err := books.Keep(l, c.channel(l.Channel), checked, c.wall())
			return errors.Join(err, w.Store(c.disk))
		}) {
			return
		}
		l = c.disk.leases[r.Lease]
	}
	d := c.deals[quoteHash(l.Quote)]
	paid, err := c.side.Pay(c.account(c.channel(l.Channel), l.Hash), l, d.quote, d.terms, checked, c.wall())
	if c.write("countersigns", func() error { return errors.Join(err, paid.Store(c.disk)) }) {
		c.countersign(p, l, *paid.Receipt)
	}
}

func (c *client) judge(s *slot, l ledger.Lease, r ledger.Receipt) (books.Checked, bool) {
	d := c.deals[quoteHash(l.Quote)]
	checked, err := c.side.Read(r.Block, r.ProviderSignature, r.Body, d.quote.Provider)
	a := books.Against{Lease: l, Quote: d.quote, Channel: c.channel(l.Channel), Sure: s.here, Same: c.disk.receipt(l.Hash, r.Seq)}
	a.Previous = c.disk.receipt(l.Hash, l.Countersigned.Seq)
	for _, other := range c.disk.on(l.Channel) {
		if other.State.Live() {
			o := c.deals[quoteHash(other.Quote)]
			a.Credit = a.Credit.Add(books.Credit(o.quote, o.terms))
		}
	}
	if s.here {
		a.Passed = time.Duration(c.w.now-s.began) * time.Millisecond
	} else if now := c.wall(); now > l.Started {
		a.Passed = time.Duration(min(now-l.Started, 1<<40)) * time.Millisecond
	}
	if err == nil {
		checked, err = a.Judge(checked)
	}
	var bad *books.Cheat
	switch {
	case err == nil:
		return checked, true
	case !errors.As(err, &bad):
		c.w.wrong("%s can't judge: %v", c.name, err)
	case !bad.Unsure:
		c.w.wrong("%s accuses an honest provider: %s", c.name, bad.Sentence)
	case !c.was && !c.w.faults.skew:
		c.w.wrong("%s ends an honest lease although its clock is right: %s", c.name, bad.Sentence)
	default:
		c.change(s, "gives up: "+bad.Sentence, func(l ledger.Lease) (ledger.Lease, error) { return books.GiveUp(l, bad.Sentence, c.wall()), nil })
	}
	return checked, false
}

func (c *client) countersign(p *provider, l ledger.Lease, r ledger.Receipt) {
	if !c.up { // what it did just before crashed it
		return
	}
	sig, _ := market.SignatureFrom(r.ClientSignature)
	v, _ := c.show(l.Channel, nil)
	c.spoke(l.Channel, v)
	c.w.model.spokeCountersignature(c, r)
	c.send(&p.node, "countersignature", func() {
		p.countersignatureCame(c, l.Hash, books.Countersignature{Seq: r.Seq, Signature: sig, Voucher: v})
	})
}

// sayAgain repeats the newest countersignature.
func (c *client) sayAgain(s *slot, l ledger.Lease) {
	if r := c.disk.receipt(l.Hash, l.Countersigned.Seq); r != nil {
		c.countersign(s.at, l, *r)
	}
}

func (c *client) spoke(channel market.Hash, v *books.Voucher) {
	if v != nil {
		c.w.model.spokeVoucher(c, channel, v.Max)
	}
}
