package client

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"souk/protocol/market"
	"souk/protocol/offer"
)

// rank sorts candidates best first: those that fit, by what work costs there,
// failures weighed in; then those that don't, the nearest misses first.
func rank(cs []*candidate) {
	weights := make(map[*candidate]*big.Rat, len(cs))
	for _, c := range cs {
		weights[c] = c.cost()
	}
	slices.SortStableFunc(cs, func(a, b *candidate) int {
		fa, _ := a.speed()
		fb, _ := b.speed()
		return cmp.Or(
			cmp.Compare(b.miss, a.miss),
			weights[a].Cmp(weights[b]),
			a.price.Cmp(b.price),
			cmp.Compare(fb, fa),
			cmp.Compare(b.known.Good, a.known.Good),
			cmp.Compare(a.offer.Peer, b.offer.Peer),
		)
	})
}

// cost is the price of a unit of work: price over speed, times what its
// failures so far make it likely to be paid for nothing.
func (c *candidate) cost() *big.Rat {
	price := c.price
	if c.quoted != nil {
		price = c.quoted.Quote.PricePerHour()
	}
	speed, _ := c.speed()
	work := new(big.Rat).SetFrac(price.Big(), new(big.Int).SetUint64(max(speed, 1)))
	good, failed := c.known.Good, c.known.Failed
	risk := new(big.Rat).SetFrac(new(big.Int).SetUint64(1+good+2*failed), new(big.Int).SetUint64(1+good))
	return work.Mul(work, risk)
}

// why is one sentence on a candidate's place.
func (c *candidate) why(first bool, others int) string {
	var text string
	_, from := c.speed()
	switch {
	case first && others == 0:
		text = "the only one that fits"
	case first:
		text = "cheapest per unit of speed"
	default:
		text = "dearer per unit of speed"
	}
	if from != "offer" {
		text += ", as own receipts measured it"
	}
	if leases := c.known.Good + c.known.Failed; c.known.Failed > 0 {
		text += fmt.Sprintf("; %d of %d leases failed", c.known.Failed, leases)
	} else if c.known.Good > 0 {
		text += fmt.Sprintf("; %d of %d leases so far ended well", c.known.Good, c.known.Good)
	}
	if c.note != "" {
		text += "; " + c.note
	}
	return text
}

// show makes what people are shown of the candidates, which are ranked.
func show(cs []*candidate) []Candidate {
	out := make([]Candidate, 0, len(cs))
	fit := 0
	for _, c := range cs {
		if c.fits() {
			fit++
		}
	}
	for i, c := range cs {
		out = append(out, c.show(i == 0, fit-1))
	}
	return out
}

func (c *candidate) show(first bool, others int) Candidate {
	speed, from := c.speed()
	gpus := gpusOf(c.offer)
	v := Candidate{
		GPUs: gpus,
		Peer: c.offer.Peer.String(), Devices: c.devices(), Executors: c.executors(), Region: printable(c.offer.Region), PricePerHour: c.price, Speed: speed, SpeedFrom: from,
		WorstCost: c.tick.Times(ticksIn(c.time, c.offer.Tick)), Tick: c.offer.Tick, Prepaid: c.tick, WhyNot: c.whyNot, Code: string(c.code),
		Egress: c.offer.Egress, Shared: slices.ContainsFunc(c.offer.Devices, func(d offer.Device) bool { return d.Shared }),
		Challenge: printable(string(c.offer.Challenge)),
	}
	for _, g := range gpus {
		v.Measured = append(v.Measured, g.Measured...)
	}
	if c.fits() {
		v.Why = c.why(first, others)
		v.Chosen = first
	}
	if q := c.quoted; q != nil {
		v.Quoted, v.PricePerHour, v.WorstCost = true, q.Quote.PricePerHour(), q.Quote.Ceiling()
		v.Prepaid = c.prepaid()
	}
	return v
}

// prepaid is what a voucher says before anything ran, of one that quoted.
func (c *candidate) prepaid() market.Amount {
	return c.quoted.Quote.Part(market.Amount{}, c.quoted.Terms.PrepayTicks, false)
}
