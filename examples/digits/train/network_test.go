package main

import (
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func smallNetwork(seed uint64) *network { return newNetwork(16, rand.New(rand.NewPCG(seed, 0))) }

// TestGradientIsTheSlopeOfTheLoss compares backward with the loss a little to both sides of a weight.
func TestGradientIsTheSlopeOfTheLoss(t *testing.T) {
	const nudge, label = 5e-3, 4
	d := synthetic(t, 10, 1)
	n := smallNetwork(3)
	n.look(d.train.image(label), 0, 0)
	n.forward()
	n.backward(label)
	// With a nudge this small no hidden unit changes sides, or the slope would have a kink there.
	rng := rand.New(rand.NewPCG(1, 1))
	weights, grads := n.params.each(), n.grad.each()
	checked := 0
	for part := range weights {
		for range 60 {
			i := rng.IntN(len(weights[part]))
			if part == 0 { // most pixels are paper and have no slope at all
				i = n.inkAt[rng.IntN(n.inked)]*n.hidden + rng.IntN(n.hidden)
			}
			at := func(shift float32) float64 {
				old := weights[part][i]
				defer func() { weights[part][i] = old }()
				weights[part][i] = old + shift
				n.forward()
				return n.loss(label)
			}
			slope := (at(nudge) - at(-nudge)) / (2 * nudge)
			require.InDelta(t, slope, grads[part][i], 2e-3+0.02*math.Abs(slope), "part %d, weight %d", part, i)
			if math.Abs(slope) > 0.02 {
				checked++
			}
		}
	}
	require.Greater(t, checked, 40, "too few of the slopes were steep enough to prove anything")
}

func TestLossFallsAndSyntheticDigitsAreLearnt(t *testing.T) {
	tr := newTrainer(settings{epochs: 4, rate: 0.1, hidden: 16, seed: 1}, synthetic(t, 1000, 100), io.Discard)
	results, v := tr.train()
	require.Len(t, results, 4)
	for i := 1; i < len(results); i++ {
		require.Less(t, results[i].TrainLoss, results[i-1].TrainLoss)
	}
	require.Greater(t, v.accuracy(), 0.9)
	right, all := v.right()
	require.Equal(t, 100, all)
	require.Equal(t, all-right, len(v.mistakes))
}

func TestRateFallsInAStraightLine(t *testing.T) {
	tr := &trainer{settings: settings{rate: 0.2}}
	require.InDelta(t, 0.2, tr.rateAt(0, 100), 1e-6)
	require.InDelta(t, 0.1, tr.rateAt(50, 100), 1e-6)
	require.InDelta(t, 0.002, tr.rateAt(99, 100), 1e-6)
}

func TestLookMovesTheImageAndDropsWhatLeavesTheFrame(t *testing.T) {
	image := make([]byte, pixels)
	const corner = pixels - 1
	image[0], image[5*side+7], image[corner] = 51, 255, 255
	n := smallNetwork(1)
	for _, c := range []struct {
		dx, dy int
		at     []int
	}{
		{0, 0, []int{0, 5*side + 7, corner}},
		{1, 0, []int{1, 5*side + 8}},
		{0, 1, []int{side, 6*side + 7}},
		{-1, -1, []int{4*side + 6, corner - side - 1}},
	} {
		n.look(image, c.dx, c.dy)
		require.Equal(t, c.at, n.inkAt[:n.inked])
	}
	require.Equal(t, float32(1), n.ink[0])
}

func TestVerdictCountsByWhatWasWrittenThenRead(t *testing.T) {
	n := smallNetwork(1)
	n.params = newParams(16) // all zero, so that only what a class starts from speaks
	n.b2[3] = 5
	v := judge(n, synthetic(t, 1, 20).test)
	for written, row := range v.counts {
		require.Equal(t, 2, row[3], "all %ds are read as 3", written)
	}
	require.Len(t, v.mistakes, 18)
	m := v.mistakes[0]
	require.Equal(t, []int{0, 1, 3}, []int{m.at, int(m.wrote), int(m.read)})
	require.InDelta(t, 0.94, m.believed, 0.01)
	require.InDelta(t, 0.1, v.accuracy(), 1e-9)
}

func TestSoftmaxGivesSharesOfOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var z [classes]float32
		copy(z[:], rapid.SliceOfN(rapid.Float32Range(-1e30, 1e30), classes, classes).Draw(t, "scores"))
		softmax(&z)
		var sum float64
		for _, p := range z {
			require.False(t, math.IsNaN(float64(p)))
			require.GreaterOrEqual(t, p, float32(0))
			sum += float64(p)
		}
		require.InDelta(t, 1, sum, 1e-5)
	})
}

// TestLanesDoWhatTheirNamesSay compares the unrolled loops with plain ones.
func TestLanesDoWhatTheirNamesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := lane * rapid.IntRange(1, 5).Draw(t, "lanes")
		vector := func(name string) []float32 {
			return rapid.SliceOfN(rapid.Float32Range(-10, 10), size, size).Draw(t, name)
		}
		x, y, g := vector("x"), vector("y"), vector("g")
		var sum float64
		for i := range x {
			sum += float64(x[i]) * float64(y[i])
		}
		require.InDelta(t, sum, dot(x, y), 1e-2)

		want := make([]float64, size)
		for i := range y {
			want[i] = float64(y[i]) + 0.5*float64(x[i])
		}
		addScaled(y, x, 0.5)
		for i := range y {
			require.InDelta(t, want[i], y[i], 1e-4)
		}

		for n := size - 3; n <= size; n++ { // also lengths that are no multiple of lane
			w, v, gg := make([]float32, n), append([]float32(nil), x[:n]...), append([]float32(nil), g[:n]...)
			descend(w, v, gg, 0.1, 0.5)
			for i := range w {
				require.InDelta(t, 0.5*x[i]-0.1*g[i], v[i], 1e-4)
				require.Equal(t, v[i], w[i])
				require.Zero(t, gg[i])
			}
		}
	})
}
