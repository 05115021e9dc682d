package provider_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/protocol/wire"
)

// A lease that was closed without a last receipt had its newest one disputed
// for ever: an attach was refused before its client could countersign it.
func TestALeaseClosedWithoutALastReceiptCanStillBePaid(t *testing.T) {
	s := newShop(t)
	restore := s.backup()
	g, v := s.paidFor()
	g.keep()
	for _, d := range g.holds.Load().GetLeases() {
		d.GetReceipt().ClientSignature = nil
	}
	restore()
	require.NoError(t, g.reconcile())
	s.nothingHeld()
	rec := s.record(v.a.Lease.Hash())
	require.True(t, rec.Lost)
	require.Equal(t, v.last.Hash(), rec.Newest.Hash)
	require.Zero(t, rec.Countersigned.Seq)

	late := g.attach(v.a, 0)
	require.NoError(t, late.next(ticks(1)))
	err := late.next(isDone) // Settled may come before the refusal
	require.True(t, wire.IsCode(err, wire.WrongState), "%v", err)
	require.Equal(t, rec.Newest, s.record(v.a.Lease.Hash()).Countersigned)
	require.Equal(t, v.last.Charged, s.books(g).Due)
}
