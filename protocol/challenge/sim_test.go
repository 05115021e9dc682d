package challenge_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/protocol/challenge"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

var parties = challenge.Parties{Network: "test", Provider: "provider", Client: "client"}

// options are the default ones but for sizes: the model's devices are slower
// than real ones, so that right numbers cost the test little; the times are those
// of real ones.
func options(dice *rand.ChaCha8) challenge.Options {
	return challenge.Options{Orders: []int{12, 24}, Random: dice, Samples: 24, Steps: 1 << 15, StepLimit: 32 * time.Microsecond}
}

func claim(count int, rate float64) challenge.Claim {
	return challenge.Claim{Slug: "rtx-4090", Count: count, Blocks: 12, Mops: uint64(rate / 1e6)}
}

// provider is the other side of a conversation.
type provider func(ctx context.Context, c challenge.Conn)

func (m *machine) serve(ctx context.Context, c challenge.Conn) {
	challenge.Converse(ctx, c, parties, m)
}

// converse is one challenge over a network with a jitter of 300 ms.
func converse(ctx context.Context, seed uint64, p provider, c challenge.Claim, o challenge.Options) (challenge.Verdict, error) {
	ctx, cancel := context.WithCancel(ctx)
	here, there := challenge.Pipe(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer there.Close()
		p(ctx, there)
	}()
	v, err := challenge.Run(ctx, far{here, rand.New(rand.NewPCG(seed, 1))}, parties, c, o)
	here.Close()
	cancel()
	<-done
	return v, err
}

// trial makes up to challenges of one provider and tells what it was caught at first.
func trial(t *testing.T, seed uint64, challenges int, make func(*rand.Rand) (provider, challenge.Claim)) (caught challenge.Reason) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, c := make(rand.New(rand.NewPCG(seed, 2)))
		for k := range challenges {
			v, err := converse(t.Context(), seed+uint64(k)<<32, p, c, options(rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(k)}))) //nolint:gosec // cut as it should
			require.NoError(t, err, "seed %d", seed)
			if caught = v.Caught; caught != "" {
				return
			}
		}
	})
	return caught
}

const trials = 40

func TestHonestProvidersAreNotAccused(t *testing.T) {
	accused := 0
	for seed := range uint64(5 * trials) {
		reason := trial(t, seed, 1, func(dice *rand.Rand) (provider, challenge.Claim) {
			count := 1 + dice.IntN(3)
			c := claim(count, 1e6)
			if dice.IntN(2) == 0 {
				c.Mops = 0 // nobody claims a rate
			}
			return honest(dice, count).serve, c
		})
		if reason != "" {
			accused++
			t.Logf("seed %d: accused of %s", seed, reason)
		}
	}
	require.LessOrEqual(t, accused, 5*trials/100)
}

// One CPU answers for all the devices of a testnet's provider, so no time is
// held against it; nor is anything of it measured.
func TestASimulationIsNotJudgedByItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := honest(rand.New(rand.NewPCG(1, 2)), 1)
		m.pretend, m.holds = true, 0.5
		c := claim(2, 1e6)
		v, err := converse(t.Context(), 1, m.serve, c, options(rand.NewChaCha8([32]byte{1})))
		require.NoError(t, err)
		require.Empty(t, v.Caught, v.Sentence)
		require.True(t, v.Simulated)
		require.Zero(t, v.Measurement("provider", time.Now()).Mops)
		m.answer = func(p []uint32) []uint32 { p[0] ^= 1; return p }
		v, err = converse(t.Context(), 2, m.serve, c, options(rand.NewChaCha8([32]byte{2})))
		require.NoError(t, err)
		require.Equal(t, challenge.WrongProduct, v.Caught, "wrong is wrong")
	})
}

// liars are providers that claim more than they have, and what they are to be
// caught at.
func liars() map[string]struct {
	make func(dice *rand.Rand) (provider, challenge.Claim)
	want []challenge.Reason
} {
	type maker = func(dice *rand.Rand) (provider, challenge.Claim)
	like := func(count int, change func(*machine, *challenge.Claim)) maker {
		return func(dice *rand.Rand) (provider, challenge.Claim) {
			m, c := honest(dice, count), claim(count, 1e6)
			change(m, &c)
			return m.serve, c
		}
	}
	type row = struct {
		make maker
		want []challenge.Reason
	}
	return map[string]row{
		"an answer from a cache": {like(1, func(m *machine, _ *challenge.Claim) {
			first := map[int][]uint32{} // by size
			m.answer = func(c []uint32) []uint32 {
				if first[len(c)] == nil {
					first[len(c)] = c
				}
				return first[len(c)]
			}
			m.rate *= 50
		}), []challenge.Reason{challenge.WrongProduct}},
		"an answer computed before the question": {like(1, func(m *machine, _ *challenge.Claim) {
			m.answer = func(c []uint32) []uint32 {
				for i := range c {
					c[i] = m.dice.Uint32N(1<<31 - 1)
				}
				return c
			}
			m.rate *= 1000
		}), []challenge.Reason{challenge.WrongProduct}},
		"one wrong entry": {like(2, func(m *machine, _ *challenge.Claim) {
			m.answer = func(c []uint32) []uint32 {
				i := m.dice.IntN(len(c))
				c[i] = (c[i] + 1) % (1<<31 - 1)
				return c
			}
		}), []challenge.Reason{challenge.WrongProduct}},
		"one device that says it is two": {like(2, func(m *machine, _ *challenge.Claim) { m.there = 1 }),
			[]challenge.Reason{challenge.TooSlow, challenge.SharedDevice}},
		"one device that says it is two, at no claimed rate": {like(2, func(m *machine, c *challenge.Claim) { m.there, c.Mops = 1, 0 }),
			[]challenge.Reason{challenge.SharedDevice}},
		"three devices that say they are four": {like(4, func(m *machine, _ *challenge.Claim) { m.there = 3 }),
			[]challenge.Reason{challenge.TooSlow, challenge.SharedDevice}},
		"a shared device that hides it by being slow alone": {like(2, func(m *machine, _ *challenge.Claim) { m.there, m.lazy = 1, true }),
			[]challenge.Reason{challenge.TooSlow}},
		"a slower model": {like(1, func(m *machine, _ *challenge.Claim) { m.rate *= 0.5 }), []challenge.Reason{challenge.TooSlow}},
		"half of the memory, computed again when it is asked for": {like(1, func(m *machine, _ *challenge.Claim) { m.holds = 0.5 }),
			[]challenge.Reason{challenge.SlowMemory}},
		"three quarters of the memory, the rest made up": {like(1, func(m *machine, _ *challenge.Claim) { m.holds, m.guess = 0.75, true }),
			[]challenge.Reason{challenge.WrongMemory}},
		"less memory than it is ready to fill": {like(1, func(m *machine, _ *challenge.Claim) { m.refuses = 6 }),
			[]challenge.Reason{challenge.LessMemory}},
		"a bigger machine that it asks": {relay, []challenge.Reason{challenge.WrongProduct, challenge.WrongMemory}},
		"a commit before the work":      {hasty, []challenge.Reason{challenge.CommitMismatch}},
	}
}

// relay passes each question on to a faster provider, as whose client it
// stands; that one answers in good faith.
func relay(dice *rand.Rand) (provider, challenge.Claim) {
	big := honest(dice, 4)
	big.rate *= 10
	return func(ctx context.Context, c challenge.Conn) {
		here, there := challenge.Pipe(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer there.Close()
			challenge.Converse(ctx, there, challenge.Parties{Network: "test", Provider: "big", Client: "provider"}, big)
		}()
		defer func() { here.Close(); <-done }()
		go func() {
			var a pb.ChallengeAnswer
			for here.Read(&a, wire.MaxData, wire.IdleTimeout) == nil && c.Write(&a) == nil {
				a.Reset()
			}
		}()
		var q pb.ChallengeRequest
		for c.Read(&q, wire.MaxControl, wire.IdleTimeout) == nil && here.Write(&q) == nil {
			q.Reset()
		}
	}, claim(1, 1e6)
}

// hasty commits to something at once and computes afterwards.
func hasty(dice *rand.Rand) (provider, challenge.Claim) {
	m := honest(dice, 1)
	return func(ctx context.Context, c challenge.Conn) { m.serve(ctx, early{c}) }, claim(1, 1e6)
}

type early struct{ challenge.Conn }

func (e early) Write(m proto.Message) error {
	if a, ok := m.(*pb.ChallengeAnswer); ok {
		for i := range a.GetCommit().GetHashes() {
			a.GetCommit().Hashes[i] = make([]byte, 32)
		}
	}
	return e.Conn.Write(m)
}

func TestLiarsAreCaught(t *testing.T) {
	for name, liar := range liars() {
		t.Run(name, func(t *testing.T) {
			free := 0
			for seed := range uint64(trials) {
				if reason := trial(t, seed, 3, liar.make); reason == "" {
					free++
					t.Logf("seed %d: not caught", seed)
				} else {
					require.Contains(t, liar.want, reason, "seed %d", seed)
				}
			}
			require.LessOrEqual(t, free, trials/100)
		})
	}
}
