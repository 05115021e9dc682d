package client

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// quoted tries a quote that is good but for what change makes of it.
func quoted(change func(q *lease.Quoted, n int64)) limittest.Probe {
	return func(t *testing.T, n int64) error {
		const asked = 60_000 // ms
		at := time.UnixMilli(1_800_000_000_000)
		clock := Clock{Now: func() time.Time { return at }, Mono: func() time.Duration { return 0 }}
		e := &Engine{cfg: Config{Network: "test", Clock: clock}}
		begin := uint64(at.UnixMilli())
		q := lease.Quoted{
			SignedAt: begin,
			Quote: market.Quote{
				ExpiresAt: begin + 30_000, StartBy: begin + 60_000, TickUnits: 1000, TickPrice: market.NewAmount(1), MaxTicks: 60, MaxMillis: asked,
			},
			Terms: market.Terms{Network: "test", Executor: "wasm"},
		}
		change(&q, n)
		err := e.checkQuote(q, &candidate{time: asked * time.Millisecond}, Need{Executor: "wasm"})
		var r *wire.Refusal
		if err != nil {
			require.ErrorAs(t, err, &r)
		}
		return err
	}
}

// vouchered has a lease whose first tick costs n need a voucher, under the caps
// but those that change lifts.
func vouchered(lift func(*books.Account)) limittest.Probe {
	return func(t *testing.T, n int64) error {
		a := books.Account{Channel: ledger.Channel{Role: ledger.Client}, Caps: DefaultCaps(), Elsewhere: market.NewAmount(1000)}
		if lift(&a); a.Caps.PerPeer != DefaultCaps().PerPeer {
			n -= 1000
		}
		q := market.Quote{TickUnits: 1000, TickPrice: market.NewAmount(uint64(n)), MaxTicks: 10, MaxMillis: 10_000}
		_, err := books.NewSide(market.NoChain("test"), newSigner(t)).Lease(a, ledger.Lease{Hash: market.Hash{1}}, q, market.Terms{PrepayTicks: 1}, false, 1)
		if err != nil {
			var over *books.OverCap
			require.ErrorAs(t, err, &over)
		}
		return err
	}
}

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"ticks paid ahead":   quoted(func(q *lease.Quoted, n int64) { q.Terms.PrepayTicks = uint32(n) }),
		"log of a lease":     quoted(func(q *lease.Quoted, n int64) { q.Terms.MaxLog = n }),
		"outputs of a lease": quoted(func(q *lease.Quoted, n int64) { q.Terms.MaxOutput = n }),
		"time from the end of a quote to the start": quoted(func(q *lease.Quoted, n int64) {
			q.Quote.StartBy = q.Quote.ExpiresAt + uint64(n)
		}),
		"validity of another's quote": quoted(func(q *lease.Quoted, n int64) {
			q.Quote.ExpiresAt = q.SignedAt + uint64(n)
			q.Quote.StartBy = q.Quote.ExpiresAt
		}),
		"what one provider could keep":           vouchered(func(a *books.Account) { a.Caps.InAll = market.NewAmount(1 << 40) }),
		"what all providers together could keep": vouchered(func(a *books.Account) { a.Caps.PerPeer = market.NewAmount(1 << 40) }),
		"silence of a provider, and of a transfer": func(_ *testing.T, n int64) error {
			f := fetching{begun: true, bytes: 1 << 40}
			return limittest.Refused(!f.over(limittest.Wait(n), defaultLost, true))
		},
		"fetching a lease's outputs, in all": func(_ *testing.T, n int64) error {
			now := limittest.Wait(n)
			f := fetching{begun: true, moved: now, bytes: 1 << 40}
			return limittest.Refused(!f.over(now, defaultLost, true))
		},
		"bytes of outputs a second, on average": func(_ *testing.T, n int64) error {
			const while = time.Hour
			now := goneFactor*defaultLost + while - time.Millisecond
			f := fetching{begun: true, moved: now, bytes: n * int64(while/time.Second)}
			return limittest.Refused(!f.over(now, defaultLost, true))
		},
		"age of a plan": func(_ *testing.T, n int64) error {
			p := &plans{}
			p.add(&planned{plan: Plan{ID: "old"}})
			p.add(&planned{plan: Plan{ID: "new"}, made: time.Duration(n) * time.Millisecond})
			return limittest.Refused(p.take("old") != nil)
		},
		"peers asked in one search": func(_ *testing.T, n int64) error {
			s, asked := &search{most: maxAsked, asked: map[peer.ID]bool{"self": true}}, int64(0)
			for i := range 2 * maxAsked {
				if asked < n && s.take(peer.ID(fmt.Sprint(i))) {
					asked++
				}
			}
			return limittest.Refused(asked == n)
		},
		"plans that are kept": func(_ *testing.T, n int64) error {
			p := &plans{}
			for i := range n {
				p.add(&planned{plan: Plan{ID: fmt.Sprint(i)}, made: time.Duration(i)})
			}
			return limittest.Refused(p.take("0") != nil)
		},
		"one provider's answer to a request for a quote": func(t *testing.T, n int64) (err error) {
			synctest.Test(t, func(t *testing.T) { err = quoteAfter(t, limittest.Wait(n)) })
			return err
		},
		"exchanging a channel's status, all pages":                                 exchangedAfter,
		"exchanging a channel's status, until the last lost lease is gone on with": goesOnAfter,
		"lost leases of a provider that are paid late at once": func(_ *testing.T, n int64) error {
			return limittest.Refused(len(first(make([]lateLease, n))) == int(n))
		},
		"lost leases of a provider of which more is known than its receipts": func(_ *testing.T, n int64) error {
			d := disputes{}
			for i := range n {
				d.set(disputed{Lease: market.Hash{byte(i), byte(i >> 8)}})
			}
			return limittest.Refused(d.index(market.Hash{}) >= 0)
		},
	})
}

// goesOnAfter exchanges a channel's status for n ms, and tells whether a lost lease
// of which a receipt was shown is then gone on with: put down as in dispute, here.
func goesOnAfter(t *testing.T, n int64) error {
	l, now := newLender(t), time.Duration(0)
	l.cfg.Clock.Mono = func() time.Duration {
		was := now
		now = limittest.Wait(n)
		return was
	}
	shown := market.Receipt{Lease: lateOne, Seq: 1, Charged: market.NewAmount(160)}
	require.NoError(t, l.catchUp(t.Context(), "provider", shownLeases{lateOne: {newest: shown}}))
	_, known, err := l.disputed(t.Context(), lateOne)
	require.NoError(t, err)
	return limittest.Refused(known.Seq > 0)
}

// quoteAfter asks a provider for a quote that answers after so long, and tells
// whether its answer was waited for.
func quoteAfter(t *testing.T, takes time.Duration) error {
	s := &slowStream{takes: takes, reset: make(chan struct{})}
	e, p := asker(t, oneStream{raw: s})
	need := Need{CPU: 1, Memory: 1 << 20, Disk: 1 << 20, Executor: "wasm", Time: time.Minute}
	e.askQuote(t.Context(), &candidate{offer: offer.Offer{Peer: p}, time: time.Minute}, need)
	return limittest.Refused(s.answered)
}

// asker asks a provider by a host.
func asker(t *testing.T, h host.Host) (*Engine, peer.ID) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	signer, err := market.NewSigner(key)
	require.NoError(t, err)
	p, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	return &Engine{
		cfg:   Config{Host: h, Network: "test", Clock: SystemClock(), Log: slog.New(slog.DiscardHandler), Supplier: func(peer.ID) {}},
		chain: market.NoChain("test"), side: books.NewSide(market.NoChain("test"), signer),
	}, p
}

// exchangedAfter exchanges a channel's status of ten pages that take so long together.
func exchangedAfter(t *testing.T, n int64) (err error) {
	synctest.Test(t, func(t *testing.T) {
		h := &paged{waits: make([]time.Duration, 10)}
		for i := range h.waits {
			h.waits[i] = limittest.Wait(n) / 10
		}
		e, p := asker(t, h)
		e.cfg.Ledger = noBook{}
		err = e.exchange(t.Context(), p)
	})
	return err
}
