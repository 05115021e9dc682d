package books_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// judged has a client judge the first receipt of a lease on which a tick was
// covered, and is right but for what change makes of it.
func judged(change func(a *books.Against, r *market.Receipt, n uint64)) limittest.Probe {
	return func(t *testing.T, n int64) error {
		a := books.Against{
			Lease: ledger.Lease{Hash: market.Hash{1}}, Quote: quote, Passed: time.Hour, Sure: true,
			Channel: ledger.Channel{Voucher: quote.TickPrice},
		}
		a.Quote.TickUnits, a.Quote.TickPrice, a.Quote.MaxTicks = 1, market.NewAmount(1), 1<<30 // each ms is a tick
		a.Quote.MaxMillis = 1 << 40
		a.Channel.Voucher = market.NewAmount(0)
		r := market.Receipt{Lease: a.Lease.Hash, Seq: 1}
		change(&a, &r, uint64(n))
		r.Charged = a.Quote.Charge(r.Units)
		_, err := a.Judge(books.Checked{Receipt: r})
		if err != nil {
			var cheat *books.Cheat
			require.ErrorAs(t, err, &cheat)
		}
		return err
	}
}

func TestLimits(t *testing.T) {
	graceOf := func(_ *testing.T, n int64) error {
		return limittest.Refused(books.Grace(uint64(n)) == time.Duration(n)*time.Millisecond)
	}
	limittest.Run(t, books.LimitRows(), map[string]limittest.Probe{
		"shortest grace of a tick for its countersignature": graceOf,
		"longest grace of a tick for its countersignature":  graceOf,
		"units of a receipt above the client's own time": judged(func(a *books.Against, r *market.Receipt, n uint64) {
			a.Passed, r.Units = time.Second, 1000+n
		}),
		"charged time of stopping a process": judged(func(_ *books.Against, r *market.Receipt, n uint64) {
			r.Units = 2 + n // the tick that runs, the grace, and stopping
		}),
		"receipts beyond one for each tick that has passed": judged(func(a *books.Against, r *market.Receipt, n uint64) {
			a.Passed, a.Quote.TickUnits = 10*time.Second-books.StartSlack, 1000
			a.Previous = &ledger.Receipt{Block: market.Receipt{Lease: a.Lease.Hash, Seq: uint32(9 + n)}.Encode()}
			p, err := market.DecodeReceipt(a.Previous.Block)
			if err == nil {
				r.Previous = p.Hash()
			}
			r.Seq = uint32(10 + n)
		}),
	})
}
