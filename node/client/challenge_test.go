package client_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/modmath"
	"souk/node/client"
	"souk/node/jobfile"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// quickChallenge is one that a busy machine stands: deadlines are tried in protocol/challenge.
func quickChallenge() challenge.Options {
	return challenge.Options{Work: 10 * time.Millisecond, Share: 0.01, Slack: 20 * time.Second, Orders: []int{16, 32}, Steps: 64, Samples: 4}
}

// devices answer a fake's challenges with this machine's CPU.
type devices struct {
	refusal   *wire.Refusal
	wrong     bool // one residue of each product
	simulated bool
	asked     atomic.Int32
	start     atomic.Pointer[challenge.Start] // the last one
	hang      atomic.Bool                     // until the challenge ends
	kept      atomic.Pointer[offer.Measurement]
	jobs      []modmath.Memory
}

func (d *devices) serve(f *fake) *fake {
	challenge.Serve(f.d, network, f.host.ID(), d)
	return f
}

func (d *devices) Begin(_ context.Context, _ peer.ID, s challenge.Start) (challenge.Session, error) {
	d.start.Store(&s)
	d.asked.Add(1)
	if d.refusal != nil {
		return nil, d.refusal
	}
	return d, nil
}

func (d *devices) Keep(_ context.Context, _ peer.ID, p *pb.Measurement) error {
	m, err := offer.ReadMeasurement(p)
	d.kept.Store(&m)
	return err
}

func (d *devices) Ready() challenge.Ready {
	return challenge.Ready{Blocks: min(4, d.start.Load().Blocks), Simulated: d.simulated}
}

func (d *devices) Multiply(ctx context.Context, jobs []challenge.ProductJob) (out [][]uint32, err error) {
	if d.hang.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, j := range jobs {
		c, err := j.Compute(ctx)
		if err != nil {
			return nil, err
		}
		if d.wrong {
			c[0] ^= 1
		}
		out = append(out, c)
	}
	return out, nil
}

func (d *devices) Fill(_ context.Context, jobs []modmath.Memory) error {
	d.jobs = jobs
	return nil
}

func (d *devices) Sweep(_ context.Context, nonce uint64, passes int) ([][]uint64, error) {
	out, block := make([][]uint64, len(d.jobs)), new(modmath.Block)
	for i, j := range d.jobs {
		for b := range j.Blocks {
			j.Fill(block, b)
			sum := uint64(0)
			for p := range passes {
				sum += block.Sum(nonce + uint64(p)) //nolint:gosec // small
			}
			out[i] = append(out[i], sum)
		}
	}
	return out, nil
}

func (d *devices) Chase(_ context.Context, nonce, v uint64, steps int) ([][]uint64, error) {
	out, block := make([][]uint64, len(d.jobs)), new(modmath.Block)
	for i, j := range d.jobs {
		at := v
		for k := range steps {
			b, w := j.Step(nonce, uint64(k), at) //nolint:gosec // not negative
			j.Fill(block, b)
			at = block[w]
			out[i] = append(out[i], at)
		}
	}
	return out, nil
}

func (d *devices) Over() <-chan struct{} { return nil }

func (d *devices) Close() {}

func challenged(s *jobfile.Spec) {
	asImage(s)
	s.GPU = &market.GPUNeed{Name: "RTX4090", Count: 2}
	s.Verify.Challenge = true
}

func TestWhoIsCaughtInAChallengeIsNamedAndNotLeased(t *testing.T) {
	for name, c := range map[string]struct {
		d    *devices
		code wire.Code
		says string
	}{
		"a wrong product": {&devices{wrong: true}, client.Cheated, "were challenged: its product of order"},
		"a refusal":       {&devices{refusal: wire.Refuse(wire.NoMatch, "no driver here computes")}, wire.NoMatch, "it takes no challenge: no driver here computes"},
		"a simulation":    {&devices{simulated: true}, wire.NoMatch, "simulated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := c.d
			bad := d.serve(newFake(t, script{price: 100_000, device: gpu(2, "claimed")}))
			good := new(devices).serve(newFake(t, script{price: 900_000, device: gpu(2, "claimed")}))
			a := newActor(t, bad, good)
			e := a.start(nil)
			plan, err := e.Plan(t.Context(), spec(t, challenged))
			require.NoError(t, err)
			require.Equal(t, good.host.ID().String(), plan.Candidates[0].Peer, "the dearer one, which stood the test")
			require.Contains(t, plan.Candidates[0].Why, "challenged: 2x rtx-4090 multiply")
			require.Equal(t, string(c.code), plan.Candidates[1].Code)
			require.Contains(t, plan.Candidates[1].WhyNot, c.says)

			again, err := e.Plan(t.Context(), spec(t, challenged))
			require.NoError(t, err)
			require.Equal(t, string(c.code), again.Candidates[1].Code)
			if c.code == client.Cheated {
				require.EqualValues(t, 1, d.asked.Load(), "it is remembered")
				require.Contains(t, again.Candidates[1].WhyNot, "cheated this node before: a challenge")
			}
		})
	}
}

func TestAChallengeIsMadeOnceAndItsMeasurementGivenBack(t *testing.T) {
	d := &devices{}
	f := d.serve(newFake(t, script{device: gpu(2, "claimed")}))
	a := newActor(t, f)
	e := a.start(nil)
	plain, err := e.Plan(t.Context(), spec(t, func(s *jobfile.Spec) { challenged(s); s.Verify.Challenge = false }))
	require.NoError(t, err)
	require.Empty(t, plain.Code)
	require.Zero(t, d.asked.Load(), "nobody asked for it")
	for range 2 {
		_, err := e.Plan(t.Context(), spec(t, challenged))
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, d.asked.Load())
	a.stop()
	e = a.start(nil)
	_, err = e.Plan(t.Context(), spec(t, challenged))
	require.NoError(t, err)
	require.EqualValues(t, 1, d.asked.Load(), "nor after a restart")
	m := d.kept.Load()
	require.NotNil(t, m)
	require.NoError(t, m.Verify(network, time.Now()))
	require.Equal(t, f.host.ID(), m.Provider)
	require.Equal(t, a.host.ID(), m.By)
	require.Equal(t, 2, m.Count)

	v, err := e.Challenge(t.Context(), f.host.ID(), "", 0)
	require.NoError(t, err)
	require.Equal(t, "rtx-4090", v.Slug)
	require.Equal(t, 2, v.Count, "all that there are")
	_, err = e.Challenge(t.Context(), f.host.ID(), "RTX 4090", 2)
	require.NoError(t, err)
	for slug, count := range map[string]int{"h100": 1, "": 5} {
		_, err = e.Challenge(t.Context(), f.host.ID(), slug, count)
		require.True(t, wire.IsCode(err, wire.NoMatch), "%v", err)
		require.ErrorContains(t, err, "it offers 2 of rtx-4090")
	}
	offers, err := e.Offers(t.Context(), client.Need{})
	require.NoError(t, err)
	require.Len(t, offers, 1)
	require.Len(t, offers[0].GPUs, 1)
	gpus := offers[0].GPUs[0]
	gpus.Measured = nil
	require.Equal(t, client.GPU{Slug: "rtx-4090", Model: "RTX 4090", Count: 2, Free: 2, VRAM: 24 << 30, Evidence: "claimed"}, gpus)
}
