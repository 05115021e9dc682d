package simulation

import (
	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

func (c *client) askStatus(p *provider) {
	channel, life := c.channelWith(p), c.life
	c.send(&p.node, "status?", func() { p.statusAsked(c, channel, life) })
}

func (c *client) statusAsked(p *provider, channel market.Hash, life int) {
	v, all := c.show(channel, c.deals)
	c.send(&p.node, "status", func() { p.statusCame(channel, life, v, all) })
}

// statusCame adopts what a provider shows of the channel.
func (c *client) statusCame(p *provider, life int, v *books.Voucher, all []books.Shown) {
	if life != c.life || c.agreed[p] {
		return // the answer to an earlier life's question
	}
	id := c.channelWith(p)
	ok := c.write("adopts", func() error {
		if v != nil {
			w, _ := books.Raise(c.channel(id), *v, c.wall())
			if err := w.Store(c.disk); err != nil {
				return err
			}
		}
		for _, s := range all {
			c.deals[s.Quote.Hash()] = deal{s.Quote, s.Terms, c}
			var known *ledger.Lease
			if l, err := c.disk.Lease(ledger.Client, s.Lease.Hash); err == nil {
				known = &l
			}
			if err := books.AdoptAsClient(known, c.channel(id), s, c.wall()).Store(c.disk); err != nil {
				return err
			}
		}
		return nil
	})
	if ok {
		c.agreed[p] = true
		c.catchUp(p, id, all)
	}
}
