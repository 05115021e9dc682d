package modmath

import (
	"context"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The vectors are those of the Random123 distribution.
func TestPhiloxGivesThePublishedVectors(t *testing.T) {
	for _, v := range []struct {
		c    [4]uint32
		k    [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{1<<32 - 1, 1<<32 - 1, 1<<32 - 1, 1<<32 - 1}, [2]uint32{1<<32 - 1, 1<<32 - 1},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		var got [4]uint32
		got[0], got[1], got[2], got[3] = philox(v.c[0], v.c[1], v.c[2], v.c[3], v.k[0], v.k[1])
		require.Equal(t, v.want, got)
	}
}

// The first outputs of splitmix64 from the state 0, as its authors' program prints them.
func TestMixGivesThePublishedVectors(t *testing.T) {
	g := uint64(golden)
	require.Equal(t, uint64(0xe220a8397b1dcdaf), mix(g))
	require.Equal(t, uint64(0x6e789e6aa1b965f4), mix(2*g))
	require.Equal(t, uint64(0x06c45d188009454f), mix(3*g))
}

func TestReduceAgreesWithDivision(t *testing.T) {
	for _, x := range []uint64{0, 1, P - 1, P, P + 1, 2 * P, P * P, 1<<64 - 1, 1<<62 - 1, 1 << 63} {
		require.Equal(t, uint32(x%P), Reduce(x), x)
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64().Draw(t, "x")
		require.Equal(t, uint32(x%P), Reduce(x))
		require.Equal(t, uint32(uint64(uint32(x))%P), reduceWord(uint32(x)))
	})
}

func TestTheLargestEntriesDontOverflow(t *testing.T) {
	const n = 21
	full := make([]uint32, n*n)
	for i := range full {
		full[i] = P - 1
	}
	require.Equal(t, uint32(n), Dot(full[:n], full[:n])) // (−1)·(−1), n times
	c := make([]uint32, n*n)
	require.NoError(t, Multiply(context.Background(), c, full, full, n))
	for _, v := range c {
		require.Equal(t, uint32(n), v)
	}
}

func bigProduct(a, b []uint32, n int) []uint32 {
	c := make([]uint32, n*n)
	for i := range n {
		for j := range n {
			sum := new(big.Int)
			for k := range n {
				sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(a[i*n+k])), big.NewInt(int64(b[k*n+j]))))
			}
			c[i*n+j] = uint32(sum.Mod(sum, big.NewInt(P)).Int64())
		}
	}
	return c
}

func TestAProductIsWhatBigIntegersGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := Product{
			Seed: Seed{rapid.Byte().Draw(t, "seed")}, N: rapid.IntRange(1, 13).Draw(t, "n"), Rounds: rapid.IntRange(1, 3).Draw(t, "rounds"),
		}
		want := make([]uint32, job.N*job.N)
		job.Matrix(0).Entries(want, 0)
		for i := 1; i <= job.Rounds; i++ {
			right := make([]uint32, job.N*job.N)
			job.Matrix(i).Entries(right, 0)
			want = bigProduct(want, right, job.N)
		}
		got, err := job.Compute(context.Background())
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestEntriesAreTheSameFromWhereverTheyAreRead(t *testing.T) {
	m := NewMatrix(Seed{1}, 7, 11)
	all := make([]uint32, 121)
	m.Entries(all, 0)
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, 120).Draw(t, "from")
		part := make([]uint32, rapid.IntRange(0, 121-from).Draw(t, "len"))
		m.Entries(part, from)
		require.Equal(t, all[from:from+len(part)], part)
	})
	other := make([]uint32, 121)
	NewMatrix(Seed{1}, 8, 11).Entries(other, 0)
	require.NotEqual(t, all, other)
}

func TestVerifyTellsARightProductFromAWrongOne(t *testing.T) {
	job := Product{Seed: Seed{3}, N: 37, Rounds: 3}
	c, err := job.Compute(context.Background())
	require.NoError(t, err)
	x := Vector(Seed{9}, job.N)
	require.True(t, job.Verify(c, x))
	require.Equal(t, job.Apply(x)[5], Dot(c[5*37:6*37], x))
	for _, i := range []int{0, 36, 37, 700, 37*37 - 1} {
		wrong := append([]uint32(nil), c...)
		wrong[i] = (wrong[i] + 1) % P
		require.False(t, job.Verify(wrong, x), i)
		wrong[i] = c[i] + P // the same residue, but not the one way to write it
		require.False(t, job.Verify(wrong, x), i)
	}
	other := job
	other.Seed[31]++
	require.False(t, other.Verify(c, x), "an answer to another seed")
	other = job
	other.Rounds--
	require.False(t, other.Verify(c, x), "one round too few")
	require.False(t, job.Verify(c[1:], x))
	require.False(t, job.Verify(c, x[1:]))
}

func TestJobsOutOfBoundsAreRefused(t *testing.T) {
	for _, job := range []Product{{N: 0, Rounds: 1}, {N: MaxN + 1, Rounds: 1}, {N: 1, Rounds: 0}, {N: 1, Rounds: MaxRounds + 1}} {
		_, err := job.Compute(context.Background())
		require.Error(t, err)
	}
	require.Error(t, Memory{}.Check())
	require.Error(t, Memory{Blocks: MaxBlocks + 1}.Check())
	require.NoError(t, Memory{Blocks: MaxBlocks}.Check())
}

func TestComputeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Product{N: 64, Rounds: 1}.Compute(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
