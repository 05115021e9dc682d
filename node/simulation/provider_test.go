package simulation

import (
	"errors"
	"slices"

	"github.com/ethereum/go-ethereum/crypto"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

const (
	tickMillis  = 10 * second
	tickPrice   = 100
	maxTicks    = 12
	outlives    = 8 * second // a process its node
	prepareTime = 2 * minute
	keepTime    = 10 * minute
)

var (
	running = mustBlock(market.Body{})
	zero    = 0
	exited  = mustBlock(market.Body{Cause: "exited", ExitCode: &zero})
	stopped = mustBlock(market.Body{Cause: "stopped"})
)

func mustBlock(b market.Body) []byte {
	block, err := b.Encode()
	if err != nil {
		panic(err)
	}
	return block
}

// process is what runs on the machine, whatever its node does.
type process struct {
	began, ends uint64 // true time
	over        bool
	stopped     uint64
}

func (p *process) ran(now uint64) uint64 {
	if p.over {
		now = p.stopped
	}
	return min(now, p.ends) - p.began
}

func (p *process) stop(now uint64) {
	if !p.over {
		p.over, p.stopped = true, min(now, p.ends)
	}
}

// run is a lease as a provider has it in memory.
type run struct {
	lease     market.Hash
	channel   market.Hash
	quote     market.Quote
	terms     market.Terms
	client    *client
	proc      *process
	exchanged bool
	unsigned  market.Amount
	grace     uint64 // counts graces; odd while one runs
	evicted   bool
	ending    *market.Outcome
}

type provider struct {
	node
	id        byte
	credit    uint32
	nonce     byte
	processes map[market.Hash]*process // of the machine
	deals     map[market.Hash]deal     // what quotes and terms say: documents, as on disk
	runs      []*run
	agreed    map[market.Hash]bool
	asking    map[market.Hash][]func() // who waits for a channel's exchange
	asked     map[market.Hash]int      // which life's question about it is open
}

type deal struct {
	quote  market.Quote
	terms  market.Terms
	client *client
}

func newProvider(w *world, id byte) *provider {
	p := &provider{id: id, processes: map[market.Hash]*process{}, deals: map[market.Hash]deal{}, credit: uint32(w.rng.IntN(3))}
	p.node = newNode(w, "P"+string('0'+rune(id)), 10+id)
	p.wake, p.died = p.begin, p.crashed
	p.forget()
	return p
}

func (p *provider) forget() {
	p.runs, p.agreed, p.asking, p.asked = nil, map[market.Hash]bool{}, map[market.Hash][]func(){}, map[market.Hash]int{}
}

// crashed ends the processes that no node takes up again in time.
func (p *provider) crashed() {
	p.forget()
	life := p.life
	p.w.after(outlives, func() {
		for _, h := range p.disk.order {
			if proc := p.processes[h]; proc != nil && (!p.up && p.life == life) {
				proc.stop(p.w.now)
			}
		}
	})
}

// begin takes up what is on disk, as a start does.
func (p *provider) begin() {
	p.forget()
	for _, h := range slices.Clone(p.disk.order) {
		if !p.up { // a step of taking up crashed it
			return
		}
		l := p.disk.leases[h]
		if l.State == market.Finishing {
			p.closeLate(h)
		}
		if books.Over(l.State) {
			if proc := p.processes[h]; proc != nil {
				proc.stop(p.w.now)
			}
			continue
		}
		r := p.runOf(l)
		p.runs = append(p.runs, r)
		p.exchange(r)
		switch proc := p.processes[h]; {
		case l.State == market.Running && proc != nil && !proc.over:
			r.proc = proc
			p.supervise(r)
		case l.State == market.Running:
			p.finish(r, market.ProviderFailed)
		default:
			p.prepare(r)
		}
	}
}

func (p *provider) runOf(l ledger.Lease) *run {
	d := p.deals[quoteHash(l.Quote)]
	return &run{lease: l.Hash, channel: l.Channel, quote: d.quote, terms: d.terms, client: d.client}
}

// quoteHash is a quote block's struct hash.
func quoteHash(block []byte) market.Hash { return market.Hash(crypto.Keccak256(block)) }

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
	if err != nil || l.Lost {
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
	if seq == l.Newest.Seq && seq > 0 && l.Outcome != market.NotEnded {
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

// supervise is what node/provider's run does: boundaries, graces, the end.
func (p *provider) supervise(r *run) {
	p.after(max(r.proc.ends, p.w.now)-p.w.now, func() {
		if r.ending == nil && !p.over(r) {
			r.proc.stop(p.w.now)
			p.finish(r, market.Succeeded)
		}
	})
	d := tickMillis - r.proc.ran(p.w.now)%tickMillis
	if p.reached(r) > p.disk.leases[r.lease].Newest.Units {
		d = 1
	}
	p.after(d, func() { p.boundary(r) })
	p.look(r)
}

func (p *provider) reached(r *run) uint64 { return r.proc.ran(p.w.now) / tickMillis * tickMillis }

func (p *provider) boundary(r *run) {
	if r.ending != nil || p.over(r) || r.proc.over {
		return
	}
	if r.grace%2 == 1 && p.mostUncovered(r) {
		p.stop(r, market.Cancelled)
		return
	}
	p.tick(r)
	p.beginGrace(r)
	p.look(r)
	p.after(tickMillis-r.proc.ran(p.w.now)%tickMillis, func() { p.boundary(r) })
}

func (p *provider) beginGrace(r *run) {
	r.grace += 2 - r.grace%2
	r.grace++
	this := r.grace
	p.after(uint64(books.Grace(r.quote.TickUnits).Milliseconds()), func() {
		if r.grace != this || r.ending != nil || p.over(r) || r.proc.over {
			return
		}
		if p.mostUncovered(r) {
			p.stop(r, market.Cancelled)
			return
		}
		p.beginGrace(r)
		p.look(r)
	})
}

// look is what the supervisor does whenever something changed.
func (p *provider) look(r *run) {
	if r.ending != nil {
		p.finish(r, *r.ending)
		return
	}
	if r.proc == nil {
		return
	}
	switch {
	case p.over(r):
		r.proc.stop(p.w.now)
		return
	case p.disk.leases[r.lease].Cancelled:
		p.stop(r, market.Cancelled)
		return
	case !r.unsigned.IsZero() && r.exchanged:
		p.tick(r)
	}
	if (r.grace%2 == 1 || r.evicted) && p.covered(r) {
		r.grace += r.grace % 2
		r.evicted = false
	}
	if r.evicted {
		p.stop(r, market.Cancelled)
	}
}

func (p *provider) stakes(channel market.Hash) (all []books.Stake) {
	for _, r := range p.runs {
		if r.channel == channel && !p.over(r) {
			all = append(all, p.stake(r))
		}
	}
	return all
}

func (p *provider) stake(r *run) books.Stake {
	return books.StakeOf(p.disk.leases[r.lease], r.quote, r.terms, r.unsigned)
}

func (p *provider) covered(r *run) bool {
	return books.Covered(p.channel(r.channel), p.stakes(r.channel), p.stake(r))
}

func (p *provider) mostUncovered(r *run) bool {
	if p.covered(r) {
		return false
	}
	all := []books.Stake{p.stake(r)}
	for _, other := range p.runs {
		if other != r && other.channel == r.channel && !p.over(other) && other.proc != nil && other.ending == nil {
			all = append(all, p.stake(other))
		}
	}
	worst := p.find(books.Worst(all))
	if worst == r {
		return true
	}
	worst.evicted = true
	p.look(worst)
	return false
}

func (p *provider) tick(r *run) {
	units, l := p.reached(r), p.disk.leases[r.lease]
	if units <= l.Newest.Units {
		r.unsigned = market.Amount{}
		return
	}
	if !r.exchanged {
		r.unsigned = books.Charge(l, r.quote, market.NotEnded, units).Sub(l.Newest.Charged)
		return
	}
	if p.sign(r, books.Statement{Units: units, Body: running}) {
		r.unsigned = market.Amount{}
	}
}

func (p *provider) sign(r *run, st books.Statement) bool {
	w, err := p.side.Sign(p.disk.leases[r.lease], p.channel(r.channel), r.quote, st, p.wall())
	if errors.Is(err, books.ErrEnded) || !p.write("signs", func() error { return errors.Join(err, w.Store(p.disk)) }) {
		return false
	}
	p.sendReceipt(r.client, r.lease, w.Receipt.Seq)
	return true
}

func (p *provider) stop(r *run, o market.Outcome) {
	r.proc.stop(p.w.now)
	p.finish(r, o)
}

// finish signs the last receipt, once the channel's status was exchanged, or
// gives that up at keepUntil.
func (p *provider) finish(r *run, o market.Outcome) {
	if !p.up || p.over(r) {
		return
	}
	first := r.ending == nil
	r.ending = &o
	if !r.exchanged {
		if left := int64(r.terms.KeepUntil) - int64(p.wall()); left <= 0 {
			p.abandon(r, o)
		} else if first {
			p.exchange(r)
			p.after(uint64(left), func() { p.finish(r, o) })
		}
		return
	}
	st := books.Statement{Outcome: o, Body: stopped}
	if r.proc != nil {
		st.Units = r.proc.ran(p.w.now)
	}
	if o == market.Succeeded {
		st.Body = exited
	}
	if p.sign(r, st) {
		p.closeLate(r.lease)
	}
}

func (p *provider) abandon(r *run, o market.Outcome) {
	p.write("abandons", func() error {
		l, err := books.Abandon(p.disk.leases[r.lease], o, p.wall())
		return errors.Join(err, books.PutLease(p.disk, l))
	})
}

// closeLate closes a lease whose last receipt nobody countersigns.
func (p *provider) closeLate(h market.Hash) {
	p.after(keepTime, func() {
		l := p.disk.leases[h]
		if l.State == market.Finishing {
			l.State = market.Closed
			p.write("closes late", func() error { return books.PutLease(p.disk, l) })
		}
	})
}

func (p *provider) countersignatureCame(c *client, lease market.Hash, cs books.Countersignature) {
	l, err := p.disk.Lease(ledger.Provider, lease)
	if err != nil {
		return
	}
	t, err := p.side.Countersigned(l, p.channel(l.Channel), c.side.Signer.Address(), p.disk.receipt(lease, cs.Seq), cs, p.wall())
	if errors.Is(err, books.ErrNoReceipt) && !p.agreed[l.Channel] { // a backup lacks it
		p.send(&c.node, "refusal", func() { c.agreed[p] = false })
		return
	}
	if err != nil {
		p.w.wrong("%s refuses an honest countersignature of receipt %d: %v", p.name, cs.Seq, err)
		return
	}
	if t.Changed() && !p.write("takes a countersignature", func() error { return t.Store(p.disk) }) {
		return
	}
	p.send(&c.node, "settled", func() { c.settled(lease, cs.Seq) })
	for _, r := range slices.Clone(p.runs) {
		if r.channel == l.Channel && !p.over(r) {
			p.look(r)
		}
	}
}

func (p *provider) cancelCame(lease market.Hash) {
	l, err := p.disk.Lease(ledger.Provider, lease)
	if err != nil || l.Cancelled || books.Over(l.State) {
		return
	}
	l.Cancelled = true
	if !p.write("is cancelled", func() error { return books.PutLease(p.disk, l) }) {
		return
	}
	if r := p.find(lease); r != nil && r.proc == nil {
		p.finish(r, market.Cancelled)
	} else if r != nil {
		p.look(r)
	}
}
