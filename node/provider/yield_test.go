package provider_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// paid gives a client a history with the shop, so that its quotes hold the machine.
func (s *shop) paid(g *guest) {
	require.NoError(s.t, s.ledger.Update(s.t.Context(), func(tx *ledger.Tx) error {
		return tx.PutPeer(ledger.Peer{ID: g.host.ID().String(), Paid: market.NewAmount(1)})
	}))
}

// A client whose provider failed asks the next one again, while the first
// quote that it had of that one still holds the machine.
func TestWhatAClientsQuoteHoldsGivesWayToItsNext(t *testing.T) {
	s := newShop(t)
	g, other := newGuest(t, s), newGuest(t, s)
	s.paid(g)
	s.paid(other)
	whole := s.Offer().CPU
	g.request.CPU, other.request.CPU = whole, whole
	_, err := g.ask()
	require.NoError(t, err)
	require.Equal(t, whole, s.Offer().CPU, "a quote is no lease")
	_, err = other.ask()
	require.True(t, wire.IsCode(err, wire.Busy), "it is held for the first client: %v", err)

	again, err := g.ask()
	require.NoError(t, err)
	_, err = other.ask()
	require.True(t, wire.IsCode(err, wire.Busy), "it is held again: %v", err)
	require.NoError(t, g.reconcile())
	require.NoError(t, g.send(g.acceptance(again, again.Quote.TickPrice)))
	require.Zero(t, s.Offer().CPU)
	_, err = g.ask()
	require.True(t, wire.IsCode(err, wire.Busy), "leased is leased: %v", err)
}
