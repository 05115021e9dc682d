package simulation

import (
	"maps"

	"souk/node/ledger"
	"souk/protocol/market"
)

// model is what must be true of every history. It counts in its own way, from
// documents alone, and never asks node/books.
type model struct {
	w       *world
	highest map[market.Hash]uint64                // by channel: the highest voucher that its provider has on disk
	vouched map[market.Hash]uint64                // and that its client ever signed
	ran     map[market.Hash]map[market.Hash]stake // by channel: the leases that may have used more than the voucher covers
	given   map[market.Hash]uint64                // by channel: by how much late payments raised its voucher
	before  map[*node]map[market.Hash]uint64
	lacks   map[gap]bool
	lives   map[market.Hash]uint64
}

// stake is by how many ticks a lease lets a channel's use be ahead of the voucher.
type stake struct{ credit, graces uint64 }

// gap is a channel on which a node was brought back from a backup, and has not
// adopted yet what it lacks.
type gap struct {
	n       *node
	channel market.Hash
}

func newModel(w *world) *model {
	return &model{
		w: w, highest: map[market.Hash]uint64{}, vouched: map[market.Hash]uint64{}, ran: map[market.Hash]map[market.Hash]stake{},
		given: map[market.Hash]uint64{}, before: map[*node]map[market.Hash]uint64{}, lacks: map[gap]bool{}, lives: map[market.Hash]uint64{},
	}
}

func units(a market.Amount) uint64 { return a.Big().Uint64() }

// sums adds up, over a channel's leases, the newest charge and the newest
// countersigned one, from the receipts alone.
func sums(b *book, channel market.Hash) (signed, due uint64) {
	type last struct{ signed, due market.Receipt }
	leases := map[market.Hash]last{}
	for at, r := range b.receipts {
		doc, err := market.DecodeReceipt(r.Block)
		if err != nil || doc.Lease != at.lease || doc.Seq != at.seq {
			return 0, 1 << 62
		}
		l := leases[at.lease]
		if doc.Seq > l.signed.Seq {
			l.signed = doc
		}
		if len(r.ClientSignature) > 0 && doc.Seq > l.due.Seq {
			l.due = doc
		}
		leases[at.lease] = l
	}
	for h, l := range leases {
		if b.leases[h].Channel == channel {
			signed, due = signed+units(l.signed.Charged), due+units(l.due.Charged)
		}
	}
	return signed, due
}

// wrote checks a node's books after a write.
func (m *model) wrote(n *node) {
	for _, p := range m.w.provs {
		if &p.node == n {
			m.provider(p)
		}
	}
	for _, c := range m.w.clients {
		if &c.node == n {
			m.client(c)
		}
	}
}

func (m *model) provider(p *provider) {
	for id, ch := range p.disk.channels {
		signed, due := sums(p.disk, id)
		if units(ch.Signed) != signed || units(ch.Due) != due {
			m.w.wrong("%s has %s signed and %s due, its receipts say %d and %d", p.name, ch.Signed, ch.Due, signed, due)
		}
		held := units(ch.Voucher)
		if held < m.highest[id] && !m.lacking(&p.node, id) {
			m.w.wrong("%s held a voucher over %d and holds one over %d", p.name, m.highest[id], held)
		}
		if held > m.vouched[id] {
			m.w.wrong("%s holds a voucher over %d, its client signed %d at most", p.name, held, m.vouched[id])
		}
		m.highest[id] = held
		if !m.lacking(&p.node, id) {
			m.exposure(p, id, held, signed)
		}
	}
}

// exposure sees that what a provider's processes have used is covered, but for
// credit and one grace a lease and life of its node. Those count that ran when
// all was last covered, or since.
func (m *model) exposure(p *provider, id market.Hash, held, signed uint64) {
	used, started, now := signed, signed, map[market.Hash]stake{}
	for _, l := range p.disk.on(id) {
		h, proc, credit := l.Hash, p.processes[l.Hash], uint64(p.deals[quoteHash(l.Quote)].terms.CreditTicks)
		if l.State == market.Agreed || l.State == market.Preparing {
			now[h] = stake{credit: credit} // the sum is over all leases: the others may use it meanwhile
		}
		if l.State != market.Running {
			continue
		}
		if proc == nil {
			proc = &process{began: m.w.now, ends: m.w.now} // it starts now
		}
		if total := (proc.ran(m.w.now)*tickPrice + tickMillis - 1) / tickMillis; total > units(l.Newest.Charged) {
			used += total - units(l.Newest.Charged)
		}
		if total := (proc.ran(m.w.now)/tickMillis + 1) * tickPrice; total > units(l.Newest.Charged) {
			started += total - units(l.Newest.Charged)
		}
		now[h] = stake{credit: credit, graces: 1}
	}
	since := m.ran[id]
	if since == nil {
		since = map[market.Hash]stake{}
	}
	maps.Copy(since, now)
	spare, stops := uint64(0), uint64(1)
	if m.w.faults.outage > 0 { // of leases that all lose their cover one is stopped after the other, each time with a grace for those that stay
		stops = uint64(len(since))
	}
	for h, s := range since {
		spare += tickPrice * (s.graces*stops + s.credit + m.lives[h]*(1+outlives/tickMillis+1))
	}
	if used > held+spare {
		m.w.wrong("%s let leases use %d with a voucher over %d, more than %d of credit and grace", p.name, used, held, spare)
	}
	if m.ran[id] = since; started <= held {
		m.ran[id] = now
	}
}

func (m *model) client(c *client) {
	if m.before[&c.node] == nil {
		m.before[&c.node] = map[market.Hash]uint64{}
	}
	var all uint64
	whole, raised := true, false
	for id, ch := range c.disk.channels {
		signed, due := sums(c.disk, id)
		if units(ch.Signed) != signed || units(ch.Due) != due {
			m.w.wrong("%s has %s signed and %s due, its receipts say %d and %d", c.name, ch.Signed, ch.Due, signed, due)
		}
		v, was := units(ch.Voucher), m.before[&c.node][id]
		switch {
		case v < was:
			m.w.wrong("%s lowered its voucher from %d to %d", c.name, was, v)
		case v > was && !m.lacking(&c.node, id):
			m.risk(c, id, v, due)
		}
		raised = raised || v > m.vouched[id] // what is adopted after a backup was raised before
		m.before[&c.node][id], m.vouched[id] = v, max(m.vouched[id], v)
		if v > due {
			all += v - due
		}
		whole = whole && !m.lacking(&c.node, id)
		if v > due+units(c.caps.PerPeer) && !m.lacking(&c.node, id) {
			m.w.wrong("%s could lose %d to one provider, its cap is %s", c.name, v-due, c.caps.PerPeer)
		}
	}
	if raised && whole && all > units(c.caps.InAll) {
		m.w.wrong("%s could lose %d in all, its cap is %s", c.name, all, c.caps.InAll)
	}
}

// risk sees that a raised voucher is ahead of what is due by no more than the
// prepaid ticks of the leases that didn't end well.
func (m *model) risk(c *client, id market.Hash, v, due uint64) {
	var ahead uint64
	for _, l := range c.disk.on(id) {
		newest := c.disk.receipt(l.Hash, l.Countersigned.Seq)
		if newest != nil {
			if r, _ := market.DecodeReceipt(newest.Block); r.Outcome != market.NotEnded {
				continue
			}
		}
		if l.State == market.Closed && !l.Lost {
			continue // it never came to be
		}
		ahead += tickPrice
	}
	if v > due+ahead {
		m.w.wrong("%s vouches for %d with %d due, more than %d ahead", c.name, v, due, ahead)
	}
}

// spokeReceipt: what a provider says is on its disk, and no client has another
// receipt with that number.
func (m *model) spokeReceipt(p *provider, r ledger.Receipt) {
	if mine := p.disk.receipt(r.Lease, r.Seq); mine == nil || string(mine.Block) != string(r.Block) {
		m.w.wrong("%s sends receipt %d, which isn't on its disk", p.name, r.Seq)
	}
	for _, c := range m.w.clients {
		if theirs := c.disk.receipt(r.Lease, r.Seq); theirs != nil && string(theirs.Block) != string(r.Block) {
			m.w.wrong("%s signs two receipts with number %d", p.name, r.Seq)
		}
	}
}

// spokeVoucher: so is the voucher that goes with it, which is no lower than
// any that the provider has.
func (m *model) spokeVoucher(c *client, channel market.Hash, most market.Amount) {
	if units(c.disk.channels[channel].Voucher) < units(most) {
		m.w.wrong("%s sends a voucher over %s, which isn't on its disk", c.name, most)
	}
	if units(most) < m.highest[channel] {
		m.w.wrong("%s sends a voucher over %s, its provider has one over %d", c.name, most, m.highest[channel])
	}
}

// spokeCountersignature: what a client says is on its disk.
func (m *model) spokeCountersignature(c *client, r ledger.Receipt) {
	if mine := c.disk.receipt(r.Lease, r.Seq); mine == nil || len(mine.ClientSignature) == 0 {
		m.w.wrong("%s sends a countersignature of receipt %d, which isn't on its disk", c.name, r.Seq)
	}
}

func (m *model) crashed(n *node) {
	for _, p := range m.w.provs {
		if &p.node == n {
			for h := range p.processes {
				m.lives[h]++
			}
		}
	}
}

// restored: what it had on disk is gone; its peers have all that matters.
func (m *model) restored(n *node) {
	for _, p := range m.w.provs {
		for _, c := range m.w.clients {
			if n == &p.node || n == &c.node {
				m.lacks[gap{n, c.channelWith(p)}] = true
			}
		}
	}
	m.before[n] = nil
}

// lacking tells whether a node's books still lack something of a channel.
func (m *model) lacking(n *node, channel market.Hash) bool {
	for _, p := range m.w.provs {
		for _, c := range m.w.clients {
			if c.channelWith(p) == channel && (n == &p.node && p.agreed[channel] || n == &c.node && c.agreed[p]) {
				delete(m.lacks, gap{n, channel})
			}
		}
	}
	return m.lacks[gap{n, channel}]
}

// started: all that a peer holds of a node's promises is on its disk.
func (m *model) started(n *node) { m.known(n) }

// known sees that no promise that is on a peer's disk is unknown to the node.
func (m *model) known(n *node) {
	for _, p := range m.w.provs {
		for _, c := range m.w.clients {
			id := c.channelWith(p)
			if m.lacking(n, id) {
				continue
			}
			switch n {
			case &p.node:
				m.promises(n, &c.node, id, false)
			case &c.node:
				m.promises(n, &p.node, id, true)
				if held := units(p.disk.channels[id].Voucher); held > units(c.disk.channels[id].Voucher) {
					m.w.wrong("%s holds a voucher over %d that %s doesn't know", p.name, held, c.name)
				}
			}
		}
	}
}

func (m *model) promises(maker, holder *node, channel market.Hash, countersigned bool) {
	for at, r := range holder.disk.receipts {
		if holder.disk.leases[at.lease].Channel != channel || countersigned && len(r.ClientSignature) == 0 {
			continue
		}
		newest := maker.disk.leases[at.lease].Newest.Seq
		if countersigned {
			newest = maker.disk.leases[at.lease].Countersigned.Seq
		}
		if at.seq > newest {
			m.w.wrong("%s holds receipt %d, which %s signed and doesn't know", holder.name, at.seq, maker.name)
		}
	}
}

// end checks a history that has come to rest, after all have exchanged their channels' status.
func (m *model) end() {
	for _, p := range m.w.provs {
		m.known(&p.node)
		for _, c := range m.w.clients {
			m.known(&c.node)
			id := c.channelWith(p)
			mine, theirs := p.disk.channels[id], c.disk.channels[id]
			if mine.Due != theirs.Due {
				m.w.wrong("%s has %s due from %s, which has %s", p.name, mine.Due, c.name, theirs.Due)
			}
			m.nothingCoveredIsOwed(p, c)
			if claim := min(units(mine.Voucher), units(mine.Signed)); claim > m.vouched[id] {
				m.w.wrong("%s may claim %d, only %d was vouched for", p.name, claim, m.vouched[id])
			}
		}
		for h, proc := range p.processes {
			if !proc.over && proc.ends > m.w.now {
				m.w.wrong("%s still runs lease %s", p.name, h)
			}
		}
	}
	for _, c := range m.w.clients {
		for _, h := range c.disk.order {
			if l := c.disk.leases[h]; l.State != market.Closed {
				m.w.wrong("%s has a lease that is %s for ever", c.name, l.State)
			}
		}
	}
}
