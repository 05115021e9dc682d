package market

import "github.com/holiman/uint256"

const hourMillis = 3600 * 1000

// TickPrice is the price of a tick that follows from a price per hour,
// rounded up: 0 only for price 0.
func TickPrice(perHour Amount, tickMillis uint64) Amount {
	return mulDivUp(perHour, tickMillis, hourMillis)
}

// PricePerHour is what a tick's price comes to in an hour, rounded up.
func (q Quote) PricePerHour() Amount { return mulDivUp(q.TickPrice, hourMillis, q.TickUnits) }

// mulDivUp is ceil(a*n/d), saturating; it holds for d > 0.
func mulDivUp(a Amount, n, d uint64) Amount {
	var p, q, rem uint256.Int
	p.Mul(&a.v, uint256.NewInt(n))
	q.DivMod(&p, uint256.NewInt(d), &rem)
	if !rem.IsZero() {
		q.AddUint64(&q, 1)
	}
	if q.Gt(&maxAmount) {
		return Amount{maxAmount}
	}
	return Amount{q}
}

// Ceiling is the most that the lease can ever cost.
func (q Quote) Ceiling() Amount { return q.TickPrice.Times(uint64(q.MaxTicks)) }

// Charge is what units of use cost, once the process was started.
func (q Quote) Charge(units uint64) Amount {
	used := MaxAmount(q.MinCharge, mulDivUp(q.TickPrice, units, q.TickUnits))
	return MinAmount(q.Ceiling(), used)
}

// Part is what a voucher must cover for one lease: its final charge once it
// ended, else what is due on it and the prepaid ticks.
func (q Quote) Part(due Amount, prepayTicks uint32, ended bool) Amount {
	if ended {
		return due
	}
	return MinAmount(due.Add(q.TickPrice.Times(uint64(prepayTicks))), q.Ceiling())
}

// Cover is what a channel's provider knows about what it may go on with.
type Cover struct {
	Voucher Amount // the highest voucher that it holds
	Credit  Amount // sum of creditTicks*tickPrice over the running leases
	Signed  Amount // sum over all leases of the charge in their newest signed receipt
	Started Amount // sum of the tick prices of started ticks without a receipt
}

// MayStart tells whether one more tick of that price may start. Its sums
// don't saturate: at 2^128-1 a tick that isn't covered doesn't start either.
func (c Cover) MayStart(tickPrice Amount) bool {
	need, have := wideSum(c.Signed, c.Started, tickPrice), wideSum(c.Voucher, c.Credit)
	return !have.Lt(&need)
}

// Missing is by how much the voucher falls short of what has been signed and started.
func (c Cover) Missing() Amount {
	need, have := wideSum(c.Signed, c.Started), wideSum(c.Voucher, c.Credit)
	if need.Lt(&have) {
		return Amount{}
	}
	need.Sub(&need, &have)
	if need.Gt(&maxAmount) {
		return Amount{maxAmount}
	}
	return Amount{need}
}

// wideSum is a sum in 256 bits.
func wideSum(amounts ...Amount) (sum uint256.Int) {
	for _, a := range amounts {
		sum.Add(&sum, &a.v)
	}
	return sum
}
