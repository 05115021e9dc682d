package provider_test

import (
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/node/provider"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// capped is a shop whose clients may owe three ticks each, and four together.
func capped(t *testing.T) *shop {
	return newShop(t, func(c *provider.Config) {
		c.Caps = provider.Caps{Peer: market.NewAmount(3999), Total: market.NewAmount(4999)}
	})
}

// regular is a guest with that many countersigned receipts.
func (s *shop) regular(receipts uint64) *guest {
	g := newGuest(s.t, s)
	s.counts(g, receipts)
	require.NoError(s.t, g.reconcile())
	return g
}

func (s *shop) counts(g *guest, receipts uint64) {
	require.NoError(s.t, s.ledger.Update(s.t.Context(), func(tx *ledger.Tx) error {
		return tx.PutPeer(ledger.Peer{ID: g.host.ID().String(), Paid: market.NewAmount(1), Receipts: receipts})
	}))
}

func (g *guest) quoted() lease.Quoted {
	q, err := g.ask()
	require.NoError(g.t, err)
	return q
}

func TestCreditGrowsWithReceiptsUpToTheCap(t *testing.T) {
	s := capped(t)
	g := newGuest(t, s)
	for receipts, ticks := range map[uint64]uint32{0: 0, provider.CreditEvery - 1: 0, provider.CreditEvery: 1, 2 * provider.CreditEvery: 2, 1 << 62: 3} {
		s.counts(g, receipts)
		require.Equal(t, ticks, g.quoted().Terms.CreditTicks, "%d receipts", receipts)
	}
	generous := newShop(t, func(c *provider.Config) {
		c.Caps = provider.Caps{Peer: market.NewAmount(1 << 40), Total: market.NewAmount(1 << 40)}
	})
	require.Equal(t, uint32(provider.MaxCreditTicks), generous.regular(1<<62).quoted().Terms.CreditTicks)
}

// Who has earned credit isn't bound to what a stranger may have.
func TestARegularMayHaveMoreQuotes(t *testing.T) {
	for receipts, more := range map[uint64]bool{provider.CreditEvery - 1: false, provider.CreditEvery: true} {
		var regulars sync.Map
		s := newShop(t, func(c *provider.Config) { c.Regular = func(p peer.ID) { regulars.Store(p, true) } })
		g := s.regular(receipts)
		for range provider.OpenQuotes {
			g.quoted()
		}
		_, err := g.ask()
		require.Equal(t, more, err == nil, "%v", err)
		_, regular := regulars.Load(g.host.ID())
		require.Equal(t, more, regular)
	}
}

// A client collects quotes, each with all of its credit, and accepts them all.
func TestCreditIsGivenOnceOverAllLeases(t *testing.T) {
	s := capped(t)
	g, other := s.regular(1000), s.regular(1000)
	q1, q2, q3 := g.quoted(), g.quoted(), other.quoted()
	require.Equal(t, []uint32{3, 3, 3}, []uint32{q1.Terms.CreditTicks, q2.Terms.CreditTicks, q3.Terms.CreditTicks})
	a := g.acceptance(q1, q1.Quote.TickPrice)
	require.NoError(t, g.send(a))

	err := g.send(g.acceptance(q2, q2.Quote.TickPrice))
	require.True(t, wire.IsCode(err, wire.Credit), "its own credit is used: %v", err)
	require.ErrorContains(t, err, "credit of at most 0.000999 USD")
	err = other.send(other.acceptance(q3, q3.Quote.TickPrice))
	require.True(t, wire.IsCode(err, wire.Credit), "that of all clients is used: %v", err)
	require.ErrorContains(t, err, "credit of at most 0.001999 USD")
	require.Equal(t, 1, s.Live())

	require.Zero(t, g.quoted().Terms.CreditTicks)
	last := other.quoted()
	require.Equal(t, uint32(1), last.Terms.CreditTicks, "what the others leave of the total")
	require.NoError(t, other.send(other.acceptance(last, last.Quote.TickPrice)))
	require.Zero(t, s.regular(1000).quoted().Terms.CreditTicks)

	s.restart()
	require.Zero(t, g.quoted().Terms.CreditTicks, "leases of before still use it")
	require.NoError(t, g.reconcile())
	g.put(a)
	v := g.attach(a, 0)
	s.started().exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.NoError(t, v.next(settled(v.last.Seq)))
	require.Equal(t, uint32(3), g.quoted().Terms.CreditTicks, "a lease that is over gives it back")
}
