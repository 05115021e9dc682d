package challenge_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"souk/protocol/challenge"
)

// A lease may end in the middle of a question, or between two.
func TestAChallengeEndsWithItsLease(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 700 * time.Millisecond, 2 * time.Second, 6 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			m := honest(rand.New(rand.NewPCG(1, 2)), 2)
			m.over = make(chan struct{})
			time.AfterFunc(after, func() { close(m.over) })
			began := time.Now()
			v, err := converse(t.Context(), 1, m.serve, claim(2, 1e6), options(rand.NewChaCha8([32]byte{1})))
			require.Error(t, err, "after %s", after)
			require.Empty(t, v.Caught, "whose lease ended is accused of nothing")
			require.Equal(t, m.began, m.closed, "the devices are given back")
			require.Less(t, time.Since(began), after+5*time.Second, "at once, but for what a device was just given")
		})
	}
}

// The lease's own job takes its part of the devices.
func TestNoTimeIsHeldAgainstDevicesThatWorkMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := honest(rand.New(rand.NewPCG(1, 2)), 2)
		m.rate /= 5
		c := claim(2, 1e6)
		c.Blocks = 0
		ask := func(seed byte) challenge.Verdict {
			v, err := converse(t.Context(), uint64(seed), m.serve, c, options(rand.NewChaCha8([32]byte{seed})))
			require.NoError(t, err)
			return v
		}
		require.Equal(t, challenge.TooSlow, ask(1).Caught)
		c.Beside = true
		v := ask(2)
		require.Empty(t, v.Caught, v.Sentence)
		require.Contains(t, v.Sentence, "beside what else runs")
		require.Zero(t, v.Measurement("provider", time.Now()).Mops, "nothing was measured")
		m.answer = func(p []uint32) []uint32 { p[0] ^= 1; return p }
		require.Equal(t, challenge.WrongProduct, ask(3).Caught, "wrong is wrong")
	})
}
