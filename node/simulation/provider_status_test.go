package simulation

import (
	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// exchange goes on asking the client for the channel's status.
func (p *provider) exchange(r *run) {
	if r.exchanged || r.ending == nil && p.over(r) {
		return
	}
	p.withClient(r.client, r.channel, func() {
		if !r.exchanged {
			r.exchanged = true
			p.look(r)
		}
	})
	p.after(5*second, func() { p.exchange(r) })
}

// withClient does something once the channel's status was exchanged.
func (p *provider) withClient(c *client, channel market.Hash, do func()) {
	if p.agreed[channel] {
		do()
		return
	}
	p.asking[channel] = append(p.asking[channel], do)
	life := p.life
	p.send(&c.node, "status?", func() { c.statusAsked(p, channel, life) })
}

// statusCame adopts what the client shows of a channel.
func (p *provider) statusCame(channel market.Hash, life int, v *books.Voucher, all []books.Shown) {
	if life != p.life || p.agreed[channel] {
		return // the answer to an earlier life's question
	}
	ok := p.write("adopts", func() error {
		for _, s := range all {
			var known *ledger.Lease
			if l, err := p.disk.Lease(ledger.Provider, s.Lease.Hash); err == nil {
				known = &l
			}
			if err := books.AdoptAsProvider(known, p.channel(channel), s, p.wall()).Store(p.disk); err != nil {
				return err
			}
		}
		if ch, err := p.disk.Channel(ledger.Provider, channel); err == nil && v != nil {
			w, _ := books.Raise(ch, *v, p.wall())
			return w.Store(p.disk)
		}
		return nil
	})
	if !ok {
		return
	}
	p.agreed[channel] = true
	waiting := p.asking[channel]
	delete(p.asking, channel)
	for _, do := range waiting {
		do()
	}
}

func (p *provider) channel(id market.Hash) ledger.Channel {
	ch, err := p.disk.Channel(ledger.Provider, id)
	if err != nil {
		return ledger.Channel{ID: id, Role: ledger.Provider}
	}
	return ch
}

// statusAsked answers a client, after asking it the same.
func (p *provider) statusAsked(c *client, channel market.Hash, life int) {
	p.withClient(c, channel, func() {
		v, all := p.show(channel, p.deals)
		p.send(&c.node, "status", func() { c.statusCame(p, life, v, all) })
	})
}

// show is what a node shows of a channel.
func (n *node) show(channel market.Hash, deals map[market.Hash]deal) (v *books.Voucher, all []books.Shown) {
	if ch, ok := n.disk.channels[channel]; ok && len(ch.Signature) > 0 {
		sig, _ := market.SignatureFrom(ch.Signature)
		v = &books.Voucher{Voucher: market.Voucher{Channel: channel, Max: ch.Voucher}, Signature: sig}
	}
	for _, l := range n.disk.on(channel) {
		if len(l.ProviderSignature) == 0 {
			continue
		}
		d := deals[quoteHash(l.Quote)]
		s := books.Shown{Quote: d.quote, Terms: d.terms, Lease: ledger.Lease{
			Hash: l.Hash, Channel: channel, Quote: l.Quote, ProviderSignature: l.ProviderSignature, ClientSignature: l.ClientSignature,
		}}
		seqs := books.Numbers(l)
		if len(seqs) == 0 {
			all = append(all, s)
		}
		for _, seq := range seqs {
			signed := n.disk.receipts[place{l.Hash, seq}]
			r, _ := market.DecodeReceipt(signed.Block)
			s.Receipt, s.Signed = &r, signed
			all = append(all, s)
		}
	}
	return v, all
}
