package ledger

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/protocol/market"
)

// What vouchers say above what is due is what going through all channels
// gives, also in books of before the sum was kept.
func TestAheadIsTheSumOverAllChannels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, err := Open("ledger", Options{FS: vfs.NewMem()})
		require.NoError(t, err)
		amount := rapid.Custom(func(t *rapid.T) market.Amount { return market.NewAmount(rapid.Uint64Range(0, 9).Draw(t, "units")) })
		for range rapid.IntRange(1, 30).Draw(t, "writes") {
			err := l.Update(t.Context(), func(tx *Tx) error {
				c := Channel{
					ID: market.Hash{rapid.Byte().Draw(t, "channel") % 3}, Role: rapid.SampledFrom([]Role{Client, Provider}).Draw(t, "role"),
					Voucher: amount.Draw(t, "voucher"), Due: amount.Draw(t, "due"),
				}
				require.NoError(t, tx.PutChannel(c))
				if rapid.Bool().Draw(t, "counted") {
					require.NoError(t, tx.AddVoucher(c.Role, Voucher{Channel: c.ID}))
				}
				if rapid.IntRange(0, 9).Draw(t, "old") == 0 {
					require.NoError(t, tx.remove(key{aheadKey, 'c'}))
				}
				for _, role := range []Role{Client, Provider} {
					var want market.Amount
					for c, err := range tx.Channels(role) {
						require.NoError(t, err)
						want = want.Add(c.Voucher.Sub(c.Due))
					}
					got, err := tx.Ahead(role)
					require.NoError(t, err)
					require.Equal(t, want, got)
				}
				return nil
			})
			require.NoError(t, err)
		}
		require.NoError(t, l.Close())
	})
}
