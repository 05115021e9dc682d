package simulation

import (
	"errors"
	"slices"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

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
	if r.grace%2 == 1 && p.uncovered(r) {
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
		if p.uncovered(r) {
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
	return books.StakeOf(r.lease, r.quote, r.terms).At(p.disk.leases[r.lease], r.unsigned)
}

func (p *provider) covered(r *run) bool {
	return books.Covered(p.channel(r.channel), p.stakes(r.channel), p.stake(r))
}

// uncovered tells whether a lease stops whose grace is over.
func (p *provider) uncovered(r *run) bool {
	var others []books.Stake
	for _, other := range p.runs {
		if other != r && other.channel == r.channel && !p.over(other) && other.proc != nil && other.ending == nil {
			others = append(others, p.stake(other))
		}
	}
	for _, h := range books.Uncover(p.channel(r.channel), p.stakes(r.channel), others, p.stake(r)) {
		if h == r.lease {
			return true
		}
		other := p.find(h)
		other.evicted = true
		p.look(other)
	}
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
