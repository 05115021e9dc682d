package simulation

import (
	"errors"
	"time"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

const (
	lostAfter = minute
	askAgain  = 4 * second
)

var (
	errNotReconciled = errors.New("the channel's status was not exchanged")
	errUnknown       = errors.New("no such quote")
)

// slot is one job of a client at a time: what it remembers of its lease. All
// jobs of a client are the same, so that one quote for two of them is one lease.
type slot struct {
	n       int
	at      *provider
	lease   market.Hash // zero: none
	fresh   bool        // this life made the lease
	here    bool        // and asked for its start
	began   uint64      // true time of that
	heard   uint64
	tries   int
	settles int
	wants   bool // a quote was asked for and is to be used
}

type client struct {
	node
	caps   books.Caps
	deals  map[market.Hash]deal // as on disk
	jobs   int                  // still to do
	slots  []*slot
	agreed map[*provider]bool
	// refused are the lost leases that it doesn't pay, as vouchers don't cover them
	refused []market.Hash

	channels map[*provider]market.Hash
}

func newClient(w *world, id byte) *client {
	c := &client{channels: map[*provider]market.Hash{}, deals: map[market.Hash]deal{}, jobs: 2 + w.rng.IntN(2), caps: books.Caps{PerPeer: market.NewAmount(4 * tickPrice), InAll: market.NewAmount(5 * tickPrice)}}
	c.node = newNode(w, "C"+string('0'+rune(id)), 100+id)
	c.wake, c.died = c.begin, func() { c.agreed = map[*provider]bool{} }
	c.begin()
	return c
}

func (c *client) begin() {
	c.agreed, c.slots, c.refused = map[*provider]bool{}, nil, nil
	for n := range 2 {
		s := &slot{n: n, heard: c.w.now}
		c.slots = append(c.slots, s)
		c.after(uint64(n)*second+1, func() { c.poke(s) })
	}
	for _, h := range c.disk.order { // take up what lives
		if l := c.disk.leases[h]; l.State != market.Closed {
			for _, s := range c.slots {
				if s.lease.IsZero() {
					s.lease, s.at = h, c.providerOf(l)
					break
				}
			}
		}
	}
}

func (c *client) providerOf(l ledger.Lease) *provider {
	q := c.deals[quoteHash(l.Quote)].quote
	for _, p := range c.w.provs {
		if p.side.Signer.Address() == q.Provider {
			return p
		}
	}
	panic("a lease with nobody")
}

func (c *client) channelWith(p *provider) market.Hash {
	id, known := c.channels[p]
	if !known {
		id = c.side.Chain.ChannelID(market.ChannelConfig{
			Payer: c.side.Signer.Address(), PayerAuthorizer: c.side.Signer.Address(), Receiver: p.side.Signer.Address(), ReceiverAuthorizer: p.side.Signer.Address(),
		})
		c.channels[p] = id
	}
	return id
}

func (c *client) channel(id market.Hash) ledger.Channel {
	ch, err := c.disk.Channel(ledger.Client, id)
	if err != nil {
		return ledger.Channel{ID: id, Role: ledger.Client}
	}
	return ch
}

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

// sayAgain repeats the newest countersignature.
func (c *client) sayAgain(s *slot, l ledger.Lease) {
	if r := c.disk.receipt(l.Hash, l.Countersigned.Seq); r != nil {
		c.countersign(s.at, l, *r)
	}
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

func (c *client) spoke(channel market.Hash, v *books.Voucher) {
	if v != nil {
		c.w.model.spokeVoucher(c, channel, v.Max)
	}
}

// change edits a slot's lease in one write.
func (c *client) change(s *slot, what string, edit func(ledger.Lease) (ledger.Lease, error)) bool {
	return c.write(what, func() error {
		l, err := edit(c.disk.leases[s.lease])
		return errors.Join(err, books.PutLease(c.disk, l))
	})
}

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

func (c *client) account(ch ledger.Channel, except market.Hash) books.Account {
	a := books.Account{Channel: ch, Caps: c.caps}
	for _, h := range c.disk.order {
		if l := c.disk.leases[h]; l.Channel == ch.ID && l.Hash != except && l.State != market.Closed {
			a.Others = a.Others.Add(l.Paid)
		}
	}
	for id, other := range c.disk.channels {
		if id != ch.ID {
			a.Elsewhere = a.Elsewhere.Add(other.Voucher.Sub(other.Due))
		}
	}
	return a
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

func (c *client) slotOf(lease market.Hash) *slot {
	for _, s := range c.slots {
		if s.lease == lease {
			return s
		}
	}
	return nil
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
