package provider_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/status"
)

// backup keeps the books as they are; restore goes on with those. The
// processes know nothing of it.
func (s *shop) backup() (restore func()) {
	books, kept := filepath.Join(s.dir, "ledger"), s.t.TempDir()
	s.close()
	require.NoError(s.t, os.CopyFS(kept, os.DirFS(books)))
	s.open()
	return func() {
		s.close()
		require.NoError(s.t, os.RemoveAll(books))
		require.NoError(s.t, os.CopyFS(books, os.DirFS(kept)))
		s.open()
	}
}

// paidFor is a guest whose lease runs, with its first receipt settled.
func (s *shop) paidFor() (*guest, *visit) {
	g := newGuest(s.t, s)
	v := g.attach(g.lease(), 0)
	s.started()
	require.NoError(s.t, v.next(settled(1)))
	return g, v
}

// keep makes the guest hold all that was signed on its channel until now.
func (g *guest) keep() {
	held, err := status.Channel(g.t.Context(), g.host, g.shop.host.ID(), g.channel(), g.boot, 0)
	require.NoError(g.t, err)
	require.Zero(g.t, held.GetNextCursor())
	held.BootId = g.boot[:]
	g.holds.Store(held)
}

// again attaches anew, where an earlier visit ended.
func (v *visit) again() *visit {
	require.NoError(v.g.t, v.g.reconcile())
	next := v.g.attach(v.a, v.last.Seq)
	next.last = v.last
	return next
}

func (s *shop) books(g *guest) (ch ledger.Channel) {
	require.NoError(s.t, s.ledger.View(s.t.Context(), func(tx *ledger.Tx) (err error) {
		ch, err = tx.Channel(ledger.Provider, g.channel())
		return err
	}))
	return ch
}

func TestReceiptsThatABackupLacksAreTakenUpByTheLeaseThatRuns(t *testing.T) {
	s := newShop(t)
	g, v := s.paidFor()
	restore := s.backup()
	v = v.again()
	require.NoError(t, v.next(settled(3)))
	g.keep()
	restore()

	v = v.again() // which checks that the next receipt follows the third
	require.Equal(t, v.last.Hash(), s.record(v.a.Lease.Hash()).Newest.Hash)
	require.Equal(t, v.last.Hash(), s.record(v.a.Lease.Hash()).Countersigned.Hash)
	require.Equal(t, g.paid, s.books(g).Voucher)
	require.NoError(t, v.next(settled(5)), "it goes on, paid for")
	s.started().exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.Succeeded, v.last.Outcome)
	require.NoError(t, v.next(settled(v.last.Seq)))
	require.Equal(t, v.last.Charged, s.books(g).Signed)
	require.Equal(t, v.last.Charged, s.books(g).Due)
	s.nothingHeld()
}

func TestALeaseThatEndedAfterTheBackupEndsOnlyOnce(t *testing.T) {
	s := newShop(t)
	g, v := s.paidFor()
	restore := s.backup()
	v = v.again()
	s.started().exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.NoError(t, v.next(settled(v.last.Seq)))
	g.keep()
	restore()
	require.NoError(t, g.reconcile())

	s.nothingHeld()
	require.Eventually(t, func() bool { return s.Live() == 0 }, time.Minute, 5*time.Millisecond)
	rec := s.record(v.a.Lease.Hash())
	require.Equal(t, market.Closed, rec.State)
	require.Equal(t, market.Succeeded, rec.Outcome)
	require.Equal(t, v.last.Hash(), rec.Newest.Hash, "nothing was signed beside it")
	require.Equal(t, v.last.Charged, s.books(g).Signed)
	require.Equal(t, v.last.Charged, s.books(g).Due)
}

func TestALeaseThatABackupLacksIsOverAtWhatWasSigned(t *testing.T) {
	s := newShop(t)
	restore := s.backup()
	g, v := s.paidFor()
	g.keep()
	restore()
	require.NoError(t, g.reconcile())

	s.nothingHeld() // its process is ended
	rec := s.record(v.a.Lease.Hash())
	require.Equal(t, market.Closed, rec.State)
	require.Equal(t, market.ProviderFailed, rec.Outcome)
	require.Equal(t, v.last.Hash(), rec.Newest.Hash)
	require.Equal(t, v.last.Charged, s.books(g).Signed)
	require.Equal(t, v.last.Charged, s.books(g).Due)
}
