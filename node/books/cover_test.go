package books_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// owing is a lease with ticks of a price, of which so much was charged and so much paid.
func owing(name byte, price, charged, paid uint64) books.Stake {
	return books.Stake{
		Lease: market.Hash{name}, TickPrice: market.NewAmount(price), Ceiling: market.NewAmount(1000 * price),
		Charged: market.NewAmount(charged), Countersigned: market.NewAmount(paid),
	}
}

func TestWhoStopsWhenAGraceIsOver(t *testing.T) {
	a, b, c := owing('a', 10, 10, 0), owing('b', 10, 10, 0), owing('c', 10, 10, 0)
	paid, dear := owing('p', 10, 10, 10), owing('d', 100, 100, 0)
	for name, x := range map[string]struct {
		voucher uint64
		staked  []books.Stake // the first one's grace is over
		only    int           // so many of them have a process; 0: all
		stop    string
	}{
		"it is paid by now":    {voucher: 20, staked: []books.Stake{paid}, stop: ""},
		"nobody else is there": {voucher: 19, staked: []books.Stake{paid}, stop: "p"},
		"all owe the same":     {voucher: 30, staked: []books.Stake{a, b, c}, stop: "a"},
		"one that owes the same doesn't stop in its place":    {voucher: 30, staked: []books.Stake{a, b}, stop: "a"},
		"all owe the same, the last one":                      {voucher: 30, staked: []books.Stake{c, a, b}, stop: "c"},
		"it is paid for, and another isn't":                   {voucher: 30, staked: []books.Stake{paid, a}, stop: "a"},
		"two others aren't":                                   {voucher: 40, staked: []books.Stake{paid, a, b}, stop: "ba"},
		"one of two others is enough":                         {voucher: 50, staked: []books.Stake{paid, a, b}, stop: "b"},
		"the dearer one goes first":                           {voucher: 140, staked: []books.Stake{paid, a, dear}, stop: "d"},
		"it isn't covered without the others either":          {voucher: 29, staked: []books.Stake{paid, a}, stop: "p"},
		"a dearer one that stops doesn't cover it":            {voucher: 119, staked: []books.Stake{a, dear}, stop: "a"},
		"one that has no process yet can't stop in its place": {voucher: 30, staked: []books.Stake{paid, a}, only: 1, stop: "p"},
	} {
		signed := market.Amount{}
		for _, s := range x.staked {
			signed = signed.Add(s.Charged)
		}
		own, others := x.staked[0], x.staked[1:]
		if x.only > 0 {
			others = x.staked[1:x.only]
		}
		stop := ""
		for _, h := range books.Uncover(ledger.Channel{Voucher: market.NewAmount(x.voucher), Signed: signed}, x.staked, others, own) {
			stop += string(h[:1])
		}
		require.Equal(t, x.stop, stop, name)
	}
}
