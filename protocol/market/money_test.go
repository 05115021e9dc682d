package market_test

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

var limit = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))

// drawAmount likes the edges: small numbers, 64 bits, and just below 2^128.
func drawAmount(t *rapid.T) market.Amount {
	n := new(big.Int).SetUint64(rapid.Uint64().Draw(t, "low"))
	switch rapid.IntRange(0, 3).Draw(t, "size") {
	case 0:
		n.Rsh(n, uint(rapid.IntRange(0, 63).Draw(t, "shift")))
	case 1:
		n.Sub(limit, n.Rsh(n, uint(rapid.IntRange(0, 63).Draw(t, "shift"))))
	case 2:
		n.Lsh(n, uint(rapid.IntRange(0, 64).Draw(t, "shift")))
	}
	return amount(n)
}

// amount is n, cut to the largest amount.
func amount(n *big.Int) market.Amount {
	if n.Cmp(limit) > 0 {
		n = limit
	}
	if n.Sign() < 0 {
		n = new(big.Int)
	}
	return markettest.Must(market.ParseAmount(n.String()))
}

func TestAmountsCountLikeBigIntsUpToTheirLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, n := drawAmount(t), drawAmount(t), rapid.Uint64().Draw(t, "n")
		x, y := a.Big(), b.Big()
		require.Equal(t, amount(new(big.Int).Add(x, y)), a.Add(b))
		require.Equal(t, amount(new(big.Int).Sub(x, y)), a.Sub(b))
		require.Equal(t, amount(new(big.Int).Mul(x, new(big.Int).SetUint64(n))), a.Times(n))
		require.Equal(t, x.Cmp(y), a.Cmp(b))
		require.Equal(t, x.Cmp(y) < 0, a.Less(b))
		require.Equal(t, x.Cmp(y) == 0, a == b)
		require.Equal(t, x.Sign() == 0, a.IsZero())
		require.Equal(t, []market.Amount{a, b}[max(0, x.Cmp(y))], market.MinAmount(a, b))
		require.Equal(t, []market.Amount{a, b}[max(0, y.Cmp(x))], market.MaxAmount(a, b))
		text := markettest.Must(json.Marshal(a))
		var back market.Amount
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, a, back)
	})
}

func TestAnAmountHasOneSpelling(t *testing.T) {
	for _, s := range []string{"", "-1", "+1", "01", "00", " 1", "1 ", "1.0", "1e3", "0x1", "1_000", "٣", limit.String() + "0",
		"340282366920938463463374607431768211456", strings.Repeat("9", 1000)} {
		_, err := market.ParseAmount(s)
		require.ErrorIs(t, err, market.ErrAmount, "%q", s)
		require.Less(t, len(err.Error()), 200)
	}
	for _, s := range []string{"1", "null", "{}", `"01"`, "1e40", "true"} {
		var a market.Amount
		require.ErrorIs(t, json.Unmarshal([]byte(s), &a), market.ErrAmount, s)
	}
	require.Equal(t, limit.String(), markettest.Must(market.ParseAmount(limit.String())).String())
}

// drawFigures is a quote that Validate lets pass.
func drawFigures(t *rapid.T) market.Quote {
	q := market.Quote{
		Unit: market.UnitMeter, TickUnits: rapid.Uint64Min(1).Draw(t, "tickUnits"), MaxTicks: rapid.Uint32Min(1).Draw(t, "maxTicks"), MaxMillis: 1,
	}
	most := new(big.Int).Div(limit, new(big.Int).SetUint64(uint64(q.MaxTicks)))
	q.TickPrice = amount(new(big.Int).Rem(drawAmount(t).Big(), most.Add(most, big.NewInt(1))))
	q.MinCharge = amount(new(big.Int).Rem(drawAmount(t).Big(), new(big.Int).Add(q.TickPrice.Big(), big.NewInt(1))))
	require.NoError(t, q.Validate())
	return q
}

func TestAChargeIsTheFormulaOfTheDesign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, units := drawFigures(t), rapid.Uint64().Draw(t, "units")
		d := new(big.Int).SetUint64(q.TickUnits)
		used := new(big.Int).Mul(new(big.Int).SetUint64(units), q.TickPrice.Big())
		used.Add(used, new(big.Int).Sub(d, big.NewInt(1))).Div(used, d)
		want := market.MinAmount(q.TickPrice.Times(uint64(q.MaxTicks)), market.MaxAmount(q.MinCharge, amount(used)))
		require.Equal(t, want, q.Charge(units))

		more := units + rapid.Uint64Range(0, math.MaxUint64-units).Draw(t, "more")
		require.False(t, q.Charge(more).Less(q.Charge(units)), "it never falls")
		require.False(t, q.Ceiling().Less(q.Charge(more)), "it never passes the ceiling")
	})
}

func TestAPriceIsRoundedUpAndFreeOnlyIfFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perHour, tick := drawAmount(t), rapid.Uint64Range(market.MinTickMillis, market.MaxTickMillis).Draw(t, "tick")
		price := market.TickPrice(perHour, tick)
		require.Equal(t, perHour.IsZero(), price.IsZero())
		hour := market.Quote{TickPrice: price, TickUnits: tick}.PricePerHour()
		require.False(t, hour.Less(perHour), "the tick's price covers the hour's")
		slack := new(big.Int).Sub(hour.Big(), perHour.Big())
		require.True(t, slack.IsUint64() && slack.Uint64() <= 3_600_000/tick+1, "rounding costs at most a unit a tick: %s", slack)
	})
}

func TestAPartCoversWhatIsDueAndThePrepaidTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawFigures(t)
		due := market.MinAmount(drawAmount(t), q.Ceiling())
		ticks := rapid.Uint32Range(0, 100).Draw(t, "prepay")
		part := q.Part(due, ticks, false)
		require.False(t, part.Less(due))
		require.False(t, q.Ceiling().Less(part))
		require.False(t, q.Part(due, ticks+1, false).Less(part))
		require.Equal(t, market.MinAmount(q.Ceiling(), amount(new(big.Int).Add(due.Big(), q.TickPrice.Times(uint64(ticks)).Big()))), part)
		require.Equal(t, due, q.Part(due, ticks, true))
	})
}

func TestATickStartsOnlyIfItIsCovered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := market.Cover{Voucher: drawAmount(t), Credit: drawAmount(t), Signed: drawAmount(t), Started: drawAmount(t)}
		price := drawAmount(t)
		have := new(big.Int).Add(c.Voucher.Big(), c.Credit.Big())
		need := new(big.Int).Add(c.Signed.Big(), c.Started.Big())
		require.Equal(t, amount(new(big.Int).Sub(need, have)), c.Missing())
		require.Equal(t, need.Add(need, price.Big()).Cmp(have) <= 0, c.MayStart(price))
	})
}

func TestSumsAtTheLimitCoverNothing(t *testing.T) {
	most := amount(limit)
	c := market.Cover{Voucher: most, Signed: most}
	require.True(t, c.MayStart(market.Amount{}))
	require.False(t, c.MayStart(market.NewAmount(1)))
	c.Started = market.NewAmount(1)
	require.Equal(t, market.NewAmount(1), c.Missing())
}
