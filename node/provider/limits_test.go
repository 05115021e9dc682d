package provider_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/node/ledger"
	"souk/node/provider"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// credited has a client that earned a tick of credit ask for one that costs n.
func credited(t *testing.T, n int64, caps provider.Caps) error {
	s := newShop(t, func(c *provider.Config) {
		c.Tick, c.Price, c.Caps = time.Hour, market.NewAmount(uint64(n)), caps
	})
	return limittest.Refused(s.CreditFor(provider.CreditEvery) == 1)
}

func TestLimits(t *testing.T) {
	rich := func(c *provider.Config) {
		c.Caps.Peer, c.Caps.Total = market.NewAmount(1<<60), market.NewAmount(1<<60)
	}
	limittest.Run(t, provider.LimitRows(), map[string]limittest.Probe{
		"validity of a quote": func(t *testing.T, n int64) error {
			var later atomic.Int64
			begin := time.Now()
			s := newShop(t, func(c *provider.Config) {
				c.Now = func() time.Time { return begin.Add(time.Duration(later.Load()) * time.Millisecond) }
			})
			g := newGuest(t, s)
			q, err := g.ask()
			require.NoError(t, err)
			require.NoError(t, g.reconcile())
			later.Store(n)
			err = g.send(g.acceptance(q, q.Quote.TickPrice))
			if err != nil {
				require.True(t, wire.IsCode(err, wire.Expired), "%v", err)
			}
			return err
		},
		"open quotes of a peer": func(_ *testing.T, n int64) error {
			return provider.OpenUp(int(n), ledger.Peer{}, func(int) peer.ID { return "one" })
		},
		"open quotes of a peer with 20 countersigned receipts": func(_ *testing.T, n int64) error {
			return provider.OpenUp(int(n), ledger.Peer{Paid: market.NewAmount(1), Receipts: provider.CreditEvery}, func(int) peer.ID { return "one" })
		},
		"open quotes of a provider, for strangers": func(_ *testing.T, n int64) error {
			return provider.OpenUp(int(n), ledger.Peer{}, func(i int) peer.ID { return peer.ID(fmt.Sprint(i)) })
		},
		"inputs of a job in a request": func(t *testing.T, n int64) error {
			g := newGuest(t, newShop(t))
			g.request.InputBytes = n
			_, err := g.ask()
			if err != nil {
				require.True(t, wire.IsCode(err, wire.OverLimit), "%v", err)
			}
			return err
		},
		"preparing a lease, from its quote's end": func(t *testing.T, n int64) error {
			q, err := newGuest(t, newShop(t)).ask()
			require.NoError(t, err)
			return limittest.Refused(int64(q.Quote.StartBy-q.Quote.ExpiresAt) >= n)
		},
		"keeping outputs, from the latest end of a lease": func(t *testing.T, n int64) error {
			g := newGuest(t, newShop(t))
			q, err := g.ask()
			require.NoError(t, err)
			return limittest.Refused(int64(q.Terms.KeepUntil-q.Quote.StartBy-q.Quote.MaxMillis) >= n)
		},
		"silence of a client while its inputs come, and before it attaches": func(t *testing.T, n int64) (err error) {
			patience := newShop(t).Patience
			synctest.Test(t, func(*testing.T) { err = provider.SilentFor(limittest.Wait(n), patience) })
			return err
		},
		"credit to one client": func(t *testing.T, n int64) error {
			return credited(t, n, provider.Caps{Peer: provider.DefaultCaps().Peer, Total: market.NewAmount(1 << 60)})
		},
		"credit to all clients together": func(t *testing.T, n int64) error {
			return credited(t, n, provider.Caps{Peer: market.NewAmount(1 << 60), Total: provider.DefaultCaps().Total})
		},
		"ticks of credit to a stranger": func(t *testing.T, n int64) error {
			return limittest.Refused(int64(newShop(t, rich).CreditFor(0)) == n)
		},
		"ticks of credit": func(t *testing.T, n int64) error {
			return limittest.Refused(int64(newShop(t, rich).CreditFor(uint64(n)*provider.CreditEvery)) == n)
		},
	})
}
