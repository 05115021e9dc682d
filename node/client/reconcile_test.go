package client_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/status"
	"souk/protocol/wire"
)

func runOne(t *testing.T, e *client.Engine) client.JobInfo {
	t.Helper()
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	return info
}

func TestARestoredBackupNeverSignsLowerNumbers(t *testing.T) {
	f := newFake(t, script{price: 36_000_000, ticks: 2, output: "42"})
	a := newActor(t, f)
	a.start(nil)
	a.stop()
	backup := t.TempDir()
	require.NoError(t, os.CopyFS(backup, os.DirFS(filepath.Join(a.dir, "ledger"))))

	forgotten := runOne(t, a.start(nil))
	a.stop()
	require.NoError(t, os.RemoveAll(filepath.Join(a.dir, "ledger")))
	require.NoError(t, os.CopyFS(filepath.Join(a.dir, "ledger"), os.DirFS(backup)))

	later := runOne(t, a.start(nil))
	require.False(t, f.fell, "the provider saw a voucher that was lower than an earlier one")
	require.NoError(t, a.book.View(t.Context(), func(tx *ledger.Tx) error {
		for ch, err := range tx.Channels(ledger.Client) {
			require.NoError(t, err)
			require.Equal(t, forgotten.Spent.Add(later.Spent), ch.Due, "the forgotten lease counts")
			require.Equal(t, f.highest, ch.Voucher)
		}
		n := 0
		for l, err := range tx.Leases(ledger.Client) {
			require.NoError(t, err)
			require.Equal(t, l.Newest, l.Countersigned)
			n++
		}
		require.Equal(t, 2, n)
		return nil
	}))
}

func TestAProviderIsToldWhatTheChannelHolds(t *testing.T) {
	f := newFake(t, script{price: 360_000, ticks: 1})
	a := newActor(t, f)
	e := a.start(nil)
	info := runOne(t, e)
	var ch ledger.Channel
	require.NoError(t, a.book.View(t.Context(), func(tx *ledger.Tx) error {
		for c, err := range tx.Channels(ledger.Client) {
			require.NoError(t, err)
			ch = c
		}
		return nil
	}))
	st, err := e.ChannelStatus(t.Context(), f.host.ID(), ch.ID, status.BootID{}, 0)
	require.NoError(t, err)
	require.Len(t, st.GetLeases(), 1)
	require.NotEmpty(t, st.GetLeases()[0].GetReceipt().GetClientSignature())
	require.NotNil(t, st.GetVoucher())
	require.Zero(t, st.GetNextCursor())
	require.True(t, e.PaysOn(f.host.ID(), ch.ID))
	require.Equal(t, "succeeded", info.Executions[0].Outcome)

	other := newFake(t, script{})
	_, err = e.ChannelStatus(t.Context(), other.host.ID(), ch.ID, status.BootID{}, 0)
	require.Error(t, err, "a channel is nobody else's business")
	require.False(t, e.PaysOn(other.host.ID(), ch.ID))
}

// A provider that was started anew asks for all that a channel holds, and may not
// ask more often than a stranger: a client's many leases have to be in few pages.
func TestManyLeasesOfAChannelAreInFewPages(t *testing.T) {
	const leases = 2000
	f := newFake(t, script{price: 360_000, ticks: 1})
	a := newActor(t, f)
	e := a.start(nil)
	l, ch := leaseOf(t, a, runOne(t, e).Executions[0])
	require.NoError(t, a.book.Update(t.Context(), func(tx *ledger.Tx) error {
		r, err := tx.Receipt(ledger.Client, l.Hash, l.Countersigned.Seq)
		require.NoError(t, err)
		for i := range leases {
			l.Hash = market.Hash{byte(i >> 8), byte(i)}
			r.Lease = l.Hash
			require.NoError(t, errors.Join(tx.PutLease(l), tx.PutReceipt(ledger.Client, r)))
		}
		return nil
	}))
	pages, shown := 0, 0
	for cursor := uint64(0); pages == 0 || cursor > 0; pages++ {
		st, err := e.ChannelStatus(t.Context(), f.host.ID(), ch.ID, status.BootID{}, cursor)
		require.NoError(t, err)
		cursor, shown = st.GetNextCursor(), shown+len(st.GetLeases())
	}
	require.Equal(t, leases+1, shown)
	require.Less(t, pages, wire.AsksBurst/2)
}
