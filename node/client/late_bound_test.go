package client

import (
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/stretchr/testify/require"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// lender is an engine whose book has one channel, on which 2,000 were
// countersigned, and lost leases that prepaid 100 each.
type lender struct {
	*Engine
	t *testing.T
}

var (
	lateOne, lateTwo = market.Hash{1}, market.Hash{2}
	lateQuote        = market.Quote{TickUnits: 1000, TickPrice: market.NewAmount(100), MaxTicks: 10, MaxMillis: 10_000}
)

func newLender(t *testing.T) lender {
	book, err := ledger.Open(filepath.Join(t.TempDir(), "ledger"), ledger.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, book.Close()) })
	chain := market.NoChain("test")
	e := &Engine{
		cfg:   Config{Ledger: book, Caps: DefaultCaps(), Clock: SystemClock(), Log: slog.New(slog.DiscardHandler)},
		chain: chain, side: books.NewSide(chain, newSigner(t)),
	}
	l := lender{e, t}
	l.write(func(tx *ledger.Tx) error {
		return tx.PutChannel(ledger.Channel{
			ID: market.Hash{9}, Role: ledger.Client, Peer: "provider", Due: market.NewAmount(2000), Signed: market.NewAmount(2000),
			Ended: market.NewAmount(2200), Voucher: market.NewAmount(2200),
		})
	})
	l.lease(lateOne, market.Closed, 100)
	l.lease(lateTwo, market.Closed, 100)
	return l
}

func newSigner(t *testing.T) *market.Signer {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	signer, err := market.NewSigner(key)
	require.NoError(t, err)
	return signer
}

func (l lender) write(change func(*ledger.Tx) error) {
	l.t.Helper()
	require.NoError(l.t, l.cfg.Ledger.Update(l.t.Context(), change))
}

func (l lender) lease(h market.Hash, state market.State, paid uint64) {
	l.t.Helper()
	l.write(func(tx *ledger.Tx) error {
		return tx.PutLease(ledger.Lease{
			Hash: h, Role: ledger.Client, Channel: market.Hash{9}, Peer: "provider", JobID: "job", State: state, Lost: state == market.Closed,
			Quote: lateQuote.Encode(), Paid: market.NewAmount(paid),
		})
	})
}

func (l lender) job(total uint64, state ledger.JobState, leases ...market.Hash) {
	l.t.Helper()
	l.write(func(tx *ledger.Tx) error {
		return tx.PutJob(ledger.Job{ID: "job", State: state, Leases: leases, Total: market.NewAmount(total)})
	})
}

// pay countersigns the first receipt of a lost lease, 60 above what was prepaid.
func (l lender) pay(h market.Hash, agreed bool) error {
	charged := market.NewAmount(160)
	var most *market.Amount
	if agreed {
		most = &charged
	}
	r := market.Receipt{Lease: h, Seq: 1, Units: 1600, Charged: charged}
	_, err := l.countersignLate(l.t.Context(), h, books.Checked{Receipt: r, Record: ledger.Receipt{Lease: h, Seq: 1, Block: r.Encode()}}, most)
	return err
}

// What late payments add to vouchers is bounded over all of them, and what a
// person agreed to is none of it.
func TestTheGoodwillOfLatePaymentsIsOneForAChannel(t *testing.T) {
	for name, agreed := range map[string]bool{"the first by itself": false, "the first by a person": true} {
		t.Run(name, func(t *testing.T) {
			l := newLender(t)
			l.job(1<<40, ledger.JobDone, lateOne, lateTwo)
			require.NoError(t, l.pay(lateOne, agreed))
			err := l.pay(lateTwo, false)
			if agreed {
				require.NoError(t, err, "60 is within a twentieth of 2,160")
				return
			}
			var beyond *books.BeyondGoodwill
			require.ErrorAs(t, err, &beyond, "120 isn't")
			require.NoError(t, l.pay(lateTwo, true), "a person may say so")
		})
	}
}

// A late payment leaves room for what the job's other leases may cost while they
// run, and for no more than they cost once they have ended; a person may go over it.
func TestALatePaymentStaysWithinTheTotalOfItsJob(t *testing.T) {
	const prepaid, more, ceiling = 100, 60, 1000
	other := market.Hash{3}
	for name, x := range map[string]struct {
		state market.State
		total uint64
		fits  bool
	}{
		"another one runs, and there is room":    {market.Running, prepaid + more + ceiling, true},
		"another one runs, and there is none":    {market.Running, prepaid + more + ceiling - 1, false},
		"the other has ended, and there is room": {market.Closed, prepaid + more + 100, true},
		"the other has ended, and there is none": {market.Closed, prepaid + more + 99, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLender(t)
			l.lease(other, x.state, 100)
			l.job(x.total, ledger.JobActive, lateOne, other)
			err := l.pay(lateOne, false)
			if x.fits {
				require.NoError(t, err)
				return
			}
			require.True(t, wire.IsCode(err, OverTotal), "%v", err)
			require.NoError(t, l.pay(lateOne, true), "a person may say so")
		})
	}
}

func TestWhatIsPaidLateCountsInAJobThatIsDone(t *testing.T) {
	l := newLender(t)
	l.job(1<<40, ledger.JobDone, lateOne)
	require.NoError(t, l.pay(lateOne, false))
	l.write(func(tx *ledger.Tx) error {
		j, err := tx.Job("job")
		require.Equal(t, market.NewAmount(160), j.Spent)
		return err
	})
}

// What a lost lease could run ahead of its voucher isn't the channel's any more, and
// still covers its receipts; one above that is refused.
func TestALostLeaseIsJudgedWithItsOwnCredit(t *testing.T) {
	const credit, covered = 300, 200 + 1200 // the voucher's rest, two ticks, and those of stopping
	for name, x := range map[string]struct {
		ticks   uint64
		refused bool
	}{"within it": {(covered + credit) / 100, false}, "beyond it": {(covered+credit)/100 + 1, true}} {
		t.Run(name, func(t *testing.T) {
			l := newLender(t)
			now := time.UnixMilli(1_800_000_000_000)
			l.cfg.Clock.Now = func() time.Time { return now }
			l.ctx = t.Context()
			provider := newSigner(t)
			lease := ledger.Lease{Hash: lateOne, Channel: market.Hash{9}, Credit: market.NewAmount(credit), Started: 1}
			q := lateQuote
			q.Provider, q.MaxTicks, q.MaxMillis = provider.Address(), 100, 100_000
			r := market.Receipt{Lease: lateOne, Seq: 1, Units: 1000 * x.ticks, Charged: market.NewAmount(100 * x.ticks)}
			sig, err := provider.Sign(l.chain.Digest(r.Hash()))
			require.NoError(t, err)
			late := latePayment{execution: &execution{e: l.Engine, lease: lease, quote: q}, leave: leave{lost: true}}
			_, err = late.judge(&pb.Receipt{Receipt: r.Encode(), ProviderSignature: sig[:]})
			if !x.refused {
				require.NoError(t, err)
				return
			}
			var bad *books.Cheat
			require.ErrorAs(t, err, &bad)
			require.Equal(t, market.FaultOverCharge, bad.Code)
		})
	}
}
