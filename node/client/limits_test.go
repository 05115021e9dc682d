package client

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/protocol/lease"
	"souk/protocol/market"
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
	})
}
