package prover_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/node/device"
	"souk/node/device/kernel"
	"souk/node/prover"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/wire"
)

func asIs(*prover.Config) {}

func TestAnHonestProviderStandsARealChallengeOfAllItsDevices(t *testing.T) {
	w := newWorld(t, asIs)
	client := w.client(t)
	v, err := challenge.Ask(t.Context(), client, "test", w.id, claim(), quick())
	require.NoError(t, err)
	require.Empty(t, v.Caught, v.Sentence)
	require.False(t, v.Simulated)
	require.Positive(t, v.One)
	require.Positive(t, v.All)
	require.Positive(t, v.MBps)
	require.EqualValues(t, 2*challenge.Blocks(8<<20)*challenge.BlockBytes, v.Touched)
	w.nothingHeld(t)
}

func TestASimulatedDeviceAnswersAndSaysSo(t *testing.T) {
	w := newWorld(t, asIs)
	client := w.client(t)
	c := challenge.Claim{Slug: "h100", Count: 1, Blocks: 16}
	v, err := challenge.Ask(t.Context(), client, "test", w.id, c, quick())
	require.NoError(t, err)
	require.Empty(t, v.Caught, v.Sentence)
	require.True(t, v.Simulated)
	require.Zero(t, v.Measurement(w.id, w.now).Mops, "nothing was measured")

	strict := newWorld(t, func(c *prover.Config) { c.Simulate = false })
	_, err = challenge.Ask(t.Context(), strict.client(t), "test", strict.id, c, quick())
	require.True(t, wire.IsCode(err, wire.NoMatch), "%v", err)
}

func start(n int) challenge.Start { return challenge.Start{Slug: slug, Count: n, Blocks: 4} }

func TestOnlyWhoMayIsAnswered(t *testing.T) {
	lease := market.Hash{1}
	leased := func(c *prover.Config) {
		c.Mode = prover.Lease
		c.Leased = func(client peer.ID, h market.Hash) ([]device.Device, <-chan struct{}, error) {
			if client != "holder" || h != lease {
				return nil, nil, wire.Refuse(wire.Unknown, "no such lease")
			}
			return devices()[:1], nil, nil
		}
	}
	for name, c := range map[string]struct {
		change func(*prover.Config)
		client peer.ID
		start  challenge.Start
		want   wire.Code
	}{
		"free devices":               {asIs, "anybody", start(2), ""},
		"more than there are":        {asIs, "anybody", start(3), wire.NoMatch},
		"another model":              {asIs, "anybody", challenge.Start{Slug: "a100", Count: 1}, wire.NoMatch},
		"none at all":                {func(c *prover.Config) { c.Mode = prover.Off }, "anybody", start(1), wire.NoMatch},
		"free ones where all pay":    {leased, "anybody", start(1), wire.NoMatch},
		"those of one's lease":       {leased, "holder", challenge.Start{Lease: lease, Slug: slug, Count: 1}, ""},
		"more than one's lease has":  {leased, "holder", challenge.Start{Lease: lease, Slug: slug, Count: 2}, wire.NoMatch},
		"those of another's lease":   {leased, "thief", challenge.Start{Lease: lease, Slug: slug, Count: 1}, wire.Unknown},
		"a lease that isn't running": {asIs, "anybody", challenge.Start{Lease: lease, Slug: slug, Count: 1}, wire.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.change)
			s, err := w.Begin(t.Context(), c.client, c.start)
			if c.want != "" {
				require.True(t, wire.IsCode(err, c.want), "%v", err)
				return
			}
			require.NoError(t, err)
			s.Close()
		})
	}
}

func TestADeviceAnswersOneChallengeAtATime(t *testing.T) {
	w := newWorld(t, func(c *prover.Config) {
		c.Leased = func(peer.ID, market.Hash) ([]device.Device, <-chan struct{}, error) { return devices()[:1], nil, nil }
	})
	first, err := w.Begin(t.Context(), "one", start(1))
	require.NoError(t, err)
	_, err = w.Begin(t.Context(), "one", start(1))
	require.True(t, wire.IsCode(err, wire.Busy), "one at a time for a peer: %v", err)
	second, err := w.Begin(t.Context(), "two", start(1))
	require.NoError(t, err)
	_, err = w.Begin(t.Context(), "three", start(1))
	require.True(t, wire.IsCode(err, wire.Busy), "both are taken: %v", err)
	first.Close()
	second.Close()

	leased := challenge.Start{Lease: market.Hash{1}, Slug: slug, Count: 1}
	first, err = w.Begin(t.Context(), "four", leased)
	require.NoError(t, err)
	_, err = w.Begin(t.Context(), "five", leased)
	require.True(t, wire.IsCode(err, wire.Busy), "%v", err)
	first.Close()
	second, err = w.Begin(t.Context(), "six", leased)
	require.NoError(t, err, "the one that was refused didn't give the other's devices back, and this one has them")
	second.Close()
}

func TestAPeerMayChallengeOnlySoOften(t *testing.T) {
	w := newWorld(t, asIs)
	ask := func(who peer.ID) error {
		s, err := w.Begin(t.Context(), who, start(1))
		if err == nil {
			s.Close()
		}
		return err
	}
	for range prover.PerPeer {
		require.NoError(t, ask("often"))
	}
	require.True(t, wire.IsCode(ask("often"), wire.RateLimited))
	require.NoError(t, ask("another"))
	w.now = w.now.Add(prover.Again)
	require.NoError(t, ask("often"))
	require.True(t, wire.IsCode(ask("often"), wire.RateLimited))
}

func TestManyStrangersLeaveDevicesToLeases(t *testing.T) {
	w := newWorld(t, func(c *prover.Config) {
		c.Leased = func(peer.ID, market.Hash) ([]device.Device, <-chan struct{}, error) { return devices()[:2], nil, nil }
	})
	began, had := w.now, time.Duration(0)
	for i := range 200 {
		s, err := w.Begin(t.Context(), peer.ID(fmt.Sprint("sybil", i)), start(2))
		w.now = w.now.Add(time.Minute)
		if err == nil {
			had += time.Minute
			s.Close()
		} else {
			require.True(t, wire.IsCode(err, wire.Busy), "%v", err)
		}
	}
	require.LessOrEqual(t, had, time.Duration(float64(w.now.Sub(began))*prover.StrangerShare)+prover.StrangerTime+time.Minute)
	require.Greater(t, had, 10*time.Minute, "strangers may still challenge")
	s, err := w.Begin(t.Context(), "tenant", challenge.Start{Lease: market.Hash{1}, Slug: slug, Count: 2})
	require.NoError(t, err, "who has leased them may")
	s.Close()
}

func TestAStrangerGetsOnlySoMuchTime(t *testing.T) {
	w := newWorld(t, asIs)
	require.NoError(t, w.Measure(t.Context()), "so that it knows its own speed")
	s, err := w.Begin(t.Context(), "greedy", start(1))
	require.NoError(t, err)
	defer s.Close()
	job := challenge.ProductJob{}
	job.N, job.Rounds = 2048, 512 // an hour of a core
	_, err = s.Multiply(t.Context(), []challenge.ProductJob{job})
	require.True(t, wire.IsCode(err, wire.OverLimit), "%v", err)
}

func TestWhateverFailsEverythingIsGivenBack(t *testing.T) {
	for name, broken := range map[string]struct {
		call string
		err  error
	}{
		"opening one of two":       {"open b", errBroken},
		"no driver computes on it": {"open a", &kernel.NotFoundError{Driver: "OpenCL", ID: "a"}},
		"multiplying":              {"multiply", errBroken},
		"filling one of two":       {"fill b", errBroken},
		"too little memory":        {"fill a", &kernel.MemoryError{Device: "a", Want: 2, Have: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, asIs)
			fills := 0
			w.fail = func(call string) error {
				if call == "fill a" {
					fills++ // the first one only warms up
				}
				if call == broken.call && (call != "fill a" || fills > 1) {
					return broken.err
				}
				return nil
			}
			v, err := challenge.Ask(t.Context(), w.client(t), "test", w.id, claim(), quick())
			if name == "too little memory" {
				require.NoError(t, err)
				require.Equal(t, challenge.LessMemory, v.Caught, "it was ready to fill that much")
				return
			}
			var refusal *wire.Refusal
			require.True(t, errors.As(err, &refusal), "%v", err)
			require.NotContains(t, refusal.Error(), errBroken.Error(), "the node's insides")
		})
	}
}

func TestAClientThatGoesAwayLeavesNothingHeld(t *testing.T) {
	w := newWorld(t, asIs)
	ctx, cancel := context.WithCancel(t.Context())
	w.fail = func(call string) error {
		if call == "multiply" {
			cancel() // in the middle
		}
		return nil
	}
	_, err := challenge.Ask(ctx, w.client(t), "test", w.id, claim(), quick())
	require.ErrorIs(t, err, challenge.ErrUnfinished)
	require.ErrorIs(t, err, context.Canceled)
	w.nothingHeld(t)
}
