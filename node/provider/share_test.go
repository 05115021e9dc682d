package provider_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/protocol/market"
	"souk/protocol/wire"
)

// newSharer is a shop that leases its GPU to two clients at a time.
func newSharer(t *testing.T) *shop {
	s := newShop(t)
	s.close()
	s.total.Shares = 2
	s.open()
	return s
}

func (g *guest) alone() *guest {
	g.request.Exclusive = true
	return g
}

func TestTermsSayWhereAGPUIsShared(t *testing.T) {
	s := newSharer(t)
	first, second := newGuest(t, s).onGPU(), newGuest(t, s).onGPU()
	require.True(t, first.lease().Terms.Devices[0].Shared)
	require.True(t, second.lease().Terms.Devices[0].Shared)
	require.True(t, s.Offer().Devices[0].Shared, "as the offer says before anybody asks")
	_, err := newGuest(t, s).onGPU().ask()
	require.True(t, wire.IsCode(err, wire.Busy), "two are on it: %v", err)
}

func TestExclusiveUseKeepsOthersOff(t *testing.T) {
	s := newSharer(t)
	other := newGuest(t, s).onGPU()
	early, err := other.ask() // while it is free
	require.NoError(t, err)
	require.NoError(t, other.reconcile())

	a := newGuest(t, s).onGPU().alone().lease()
	require.False(t, a.Terms.Devices[0].Shared)
	err = other.send(other.acceptance(early, early.Quote.TickPrice))
	require.True(t, wire.IsCode(err, wire.Taken), "%v", err)
	_, err = other.ask()
	require.True(t, wire.IsCode(err, wire.Busy), "%v", err)
}

func TestExclusiveUseIsRefusedWhereSomebodyIs(t *testing.T) {
	s := newSharer(t)
	newGuest(t, s).onGPU().lease()
	g := newGuest(t, s).onGPU().alone()
	_, err := g.ask()
	require.True(t, wire.IsCode(err, wire.Busy), "%v", err)
	g.request.Exclusive = false
	_, err = g.ask()
	require.NoError(t, err, "a share is free")
}

// The provider's owner shares GPUs from now on, between a quote and its accept.
func TestAQuoteOfAWholeGPUIsKeptOverARestart(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s).onGPU()
	q, err := g.ask()
	require.NoError(t, err)
	require.Equal(t, []market.Device{{Model: "RTX 4090", Slug: "rtx-4090", VRAM: s.total.Devices[0].VRAM, Count: 1, Evidence: market.Simulated}}, q.Terms.Devices)
	s.close()
	s.total.Shares = 2
	s.open()
	require.NoError(t, g.reconcile())
	require.NoError(t, g.send(g.acceptance(q, q.Quote.TickPrice)))
	_, err = newGuest(t, s).onGPU().ask()
	require.True(t, wire.IsCode(err, wire.Busy), "%v", err)
}
