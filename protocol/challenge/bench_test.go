package challenge_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/modmath"
)

// BenchmarkVerifierShare is what checking a product costs, as part of computing
// it again on the same core: figures for docs/challenge.md.
func BenchmarkVerifierShare(b *testing.B) {
	for _, n := range []int{512, 1024, 2048} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			job := modmath.Product{Seed: modmath.Seed{1}, N: n, Rounds: 1}
			var computing, checking time.Duration
			for b.Loop() {
				began := time.Now()
				c, err := job.Compute(b.Context())
				require.NoError(b, err)
				computing += time.Since(began)

				began = time.Now()
				x := modmath.Vector(modmath.Seed{2}, n)
				y := make([]uint32, n)
				for i := range y {
					y[i] = modmath.Dot(c[i*n:(i+1)*n], x)
				}
				require.True(b, slices.Equal(y, job.Apply(x)))
				checking += time.Since(began)
			}
			b.ReportMetric(100*checking.Seconds()/computing.Seconds(), "%share")
			b.ReportMetric(float64(checking.Milliseconds())/float64(b.N), "ms/check")
		})
	}
}

// BenchmarkBlock is what computing a block of memory anew costs: what a walk
// through memory that isn't there pays for a step, twice over.
func BenchmarkBlock(b *testing.B) {
	job, block := modmath.Memory{Seed: modmath.Seed{1}, Blocks: 1 << 20}, new(modmath.Block)
	for i := uint64(0); b.Loop(); i++ {
		job.Fill(block, i)
	}
}
