package books

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"souk/node/ledger"
	"souk/protocol/market"
)

// How long a process goes on while the countersignature for the tick before is
// on its way: a tick, at least MinGrace, at most MaxGrace.
const (
	MinGrace = time.Second
	MaxGrace = 10 * time.Second
)

// Grace is that time for a lease with such ticks, of so many ms.
func Grace(tickUnits uint64) time.Duration {
	return min(max(time.Duration(min(tickUnits, 1<<42))*time.Millisecond, MinGrace), MaxGrace)
}

// Stake is what a lease that runs, or may yet, has at stake on its channel.
type Stake struct {
	Lease         market.Hash
	TickPrice     market.Amount
	Ceiling       market.Amount
	Credit        market.Amount // what it may run ahead of the voucher
	Charged       market.Amount // in its newest receipt
	Countersigned market.Amount
	Unsigned      market.Amount // of ticks that are over and whose receipt waits
}

// StakeOf is what a lease with these documents stakes before anything is charged.
func StakeOf(lease market.Hash, q market.Quote, t market.Terms) Stake {
	return Stake{Lease: lease, TickPrice: q.TickPrice, Ceiling: q.Ceiling(), Credit: Credit(q, t)}
}

// At is the stake as the lease now stands, of which unsigned waits for its receipt.
func (s Stake) At(l ledger.Lease, unsigned market.Amount) Stake {
	s.Charged, s.Countersigned, s.Unsigned = l.Newest.Charged, l.Countersigned.Charged, unsigned
	return s
}

// Credit is what a lease may run ahead of the voucher, in money.
func Credit(q market.Quote, t market.Terms) market.Amount {
	return q.TickPrice.Times(uint64(t.CreditTicks))
}

// Next is what the tick that runs or comes next costs at most.
func (s Stake) Next() market.Amount {
	return market.MinAmount(s.TickPrice, s.Ceiling.Sub(s.Charged).Sub(s.Unsigned))
}

// Uncovered is what no countersignature stands for.
func (s Stake) Uncovered() market.Amount {
	return s.Charged.Sub(s.Countersigned).Add(s.Unsigned).Add(s.Next())
}

// Cover is what a channel may go on with, leaving one lease's own tick out.
func Cover(ch ledger.Channel, running []Stake, except market.Hash) market.Cover {
	c := market.Cover{Voucher: ch.Voucher, Signed: ch.Signed}
	for _, s := range running {
		c.Credit, c.Started = c.Credit.Add(s.Credit), c.Started.Add(s.Unsigned)
		if s.Lease != except {
			c.Started = c.Started.Add(s.Next())
		}
	}
	return c
}

// Covered tells whether the tick of own that runs now may.
func Covered(ch ledger.Channel, running []Stake, own Stake) bool {
	return own.TickPrice.IsZero() || Cover(ch, running, own.Lease).MayStart(own.Next())
}

// Uncover is which of a channel's leases stop when the grace of own is over: none
// if it is covered by now; those with more uncovered charge, the most first, if own is
// covered without them; else own, and each of the others when its own grace is over.
// staked are all leases that may run, of which those in may stop.
func Uncover(ch ledger.Channel, staked, may []Stake, own Stake) (stop []market.Hash) {
	staked, may = slices.Clone(staked), slices.Clone(may)
	slices.SortFunc(may, func(a, b Stake) int {
		return cmp.Or(b.Uncovered().Cmp(a.Uncovered()), bytes.Compare(b.Lease[:], a.Lease[:]))
	})
	for !Covered(ch, staked, own) {
		if len(may) == 0 || may[0].Uncovered().Cmp(own.Uncovered()) <= 0 {
			return []market.Hash{own.Lease}
		}
		worst := may[0].Lease
		stop, may = append(stop, worst), may[1:]
		staked = slices.DeleteFunc(staked, func(s Stake) bool { return s.Lease == worst })
	}
	return stop
}

// Disputed is what of the signed charge is of ended leases and was never
// countersigned: it has to be covered too.
func Disputed(ch ledger.Channel, running []Stake) market.Amount {
	open := ch.Signed.Sub(ch.Due)
	for _, s := range running {
		open = open.Sub(s.Charged.Sub(s.Countersigned))
	}
	return open
}
