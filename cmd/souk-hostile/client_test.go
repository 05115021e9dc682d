package main

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"

	"souk/protocol/market"
	"souk/protocol/wire"
)

// stopsUnpaid ends a lease that nobody pays for, as an honest provider does.
func stopsUnpaid() cheat {
	return cheat{name: "stops unpaid", ticks: 100, boundary: func(l *rented, n int) bool {
		if n == 3 {
			l.end(uint64(n)*1000, market.Cancelled) //nolint:gosec // positive
		}
		return n == 3
	}}
}

// runsUnpaid goes on for free. Its clock runs ahead so that the test needn't wait.
func runsUnpaid() cheat {
	return cheat{name: "runs unpaid", ticks: 100, units: func(_ *rented, ran uint64) uint64 { return 20 * ran }}
}

// trying runs one attack with a size on a provider.
func trying(t *testing.T, s *shop, name string, size int) (*trial, *lines) {
	told := &lines{}
	tr := &trial{network: testNetwork, target: info(s.host), size: size, say: (&story{w: told}).say}
	chosen, err := parseAttacks(name)
	require.NoError(t, err)
	require.NoError(t, tr.try(t.Context(), chosen[0]))
	return tr, told
}

func TestAProviderThatKeepsToTheRulesPasses(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		says string
	}{
		"replay":     {10, "another job on the same quote: refused with wrong_state"},
		"lowvoucher": {0, "refused with bad_voucher"},
		"neverpay":   {0, "as cancelled"},
		"malformed":  {0, "and the peer is shut out"},
		"flood":      {300, "refused with rate_limited"},
		"hugeprefix": {0, "a frame of 2^63-1: refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, told := trying(t, newStrict(t, stopsUnpaid()), name, c.size)
			require.NoError(t, tr.verdict(), told)
			require.Contains(t, told.String(), c.says)
		})
	}
}

func TestAProviderThatBreaksTheRulesIsNamed(t *testing.T) {
	for name, says := range map[string]string{
		"lowvoucher": "RULE BROKEN: a voucher of",
		"neverpay":   "RULE BROKEN: it ran for",
		"malformed":  "but it must be shut out",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newShop(t, runsUnpaid())
			tr, told := trying(t, s, name, 0)
			require.ErrorIs(t, tr.verdict(), errBroken)
			require.Contains(t, told.String(), says)
		})
	}
}

func TestAProviderThatNeverEndsHalfOpenStreamsIsNamed(t *testing.T) {
	t.Parallel()
	s, _ := newShop(t, fake())
	held := make(chan network.Stream, 1)
	s.host.SetStreamHandler("/deaf", func(raw network.Stream) { held <- raw })
	g, err := newGuest(t.Context(), testNetwork, info(s.host))
	require.NoError(t, err)
	defer g.close()
	raw, err := g.openRaw(t.Context(), "/deaf")
	require.NoError(t, err)
	_, err = raw.Write([]byte{1})
	require.NoError(t, err)
	_, ok := ended(raw, 100*time.Millisecond)
	require.False(t, ok)
	_ = (<-held).Reset()
	_, ok = ended(raw, wire.IdleTimeout)
	require.True(t, ok)
}

func TestHalfOpenStreamsAreCounted(t *testing.T) {
	t.Parallel()
	tr, told := trying(t, newStrict(t, fake()), "slowloris", 5)
	require.NoError(t, tr.verdict(), told)
	require.Contains(t, told.String(), "5 of 5 streams could be opened")
	require.Contains(t, told.String(), "all of them were ended, 0 at once")
}

func TestTheEndlessModuleIsOne(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCloseOnContextDone(true))
	m, err := r.CompileModule(ctx, endless())
	require.NoError(t, err)
	_, err = r.InstantiateModule(ctx, m, wazero.NewModuleConfig())
	require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, "it ended by itself: %v", err)
	require.NoError(t, r.Close(t.Context()))
}
