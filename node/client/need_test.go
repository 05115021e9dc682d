package client

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// The sums that a channel keeps of its leases are what reading them all would give.
func TestNeedIsTheSumOfAllParts(t *testing.T) {
	book, err := ledger.Open(filepath.Join(t.TempDir(), "ledger"), ledger.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, book.Close()) })
	round := byte(0)
	rapid.Check(t, func(t *rapid.T) {
		round++
		channels := []market.Hash{{1, round}, {2, round}}
		states := []market.State{market.Quoted, market.Agreed, market.Running, market.Finishing, market.Closed}
		err := book.Update(context.Background(), func(tx *ledger.Tx) error {
			for _, id := range channels {
				if err := tx.PutChannel(ledger.Channel{ID: id, Role: ledger.Client}); err != nil {
					return err
				}
			}
			for range rapid.IntRange(1, 40).Draw(t, "writes") {
				n := rapid.ByteRange(0, 8).Draw(t, "lease")
				l := ledger.Lease{
					Hash: market.Hash{n, round}, Role: ledger.Client, Channel: channels[n%2],
					State: rapid.SampledFrom(states).Draw(t, "state"), Paid: market.NewAmount(rapid.Uint64Range(0, 1000).Draw(t, "paid")),
					Credit: market.NewAmount(rapid.Uint64Range(0, 10).Draw(t, "credit")),
				}
				if err := books.PutLease(tx, l); err != nil {
					return err
				}
				for _, id := range channels {
					requireNeed(t, tx, id)
				}
			}
			for n := range byte(9) { // nothing of this round is left to live
				l, err := tx.Lease(ledger.Client, market.Hash{n, round})
				if err == nil {
					l.State = market.Closed
					err = books.PutLease(tx, l)
				} else {
					err = nil
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(t, err)
	})
}

func requireNeed(t *rapid.T, tx *ledger.Tx, channel market.Hash) {
	var want, credit market.Amount
	var some ledger.Lease
	for h, err := range tx.ChannelLeases(ledger.Client, channel) {
		require.NoError(t, err)
		l, err := tx.Lease(ledger.Client, h)
		require.NoError(t, err)
		want = want.Add(l.Paid)
		if l.State != market.Closed {
			credit, some = credit.Add(l.Credit), l
		}
	}
	ch, err := tx.Channel(ledger.Client, channel)
	require.NoError(t, err)
	a, err := (&Engine{}).account(tx, ch, ledger.Lease{})
	require.NoError(t, err)
	require.Equal(t, want, ch.Ended.Add(a.Others))
	require.Equal(t, credit, ch.Credit)
	a, err = (&Engine{}).account(tx, ch, some)
	require.NoError(t, err)
	require.Equal(t, want, ch.Ended.Add(a.Others).Add(some.Paid))
}
