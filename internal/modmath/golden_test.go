package modmath

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// hash32 and hash64 are the start of the SHA-256 of the numbers, little-endian.
func hash32(v []uint32) string {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, v)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func hash64(v []uint64) string {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, v)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// seed is 0, 1, ..., 31.
func seed() (s Seed) {
	for i := range s {
		s[i] = byte(i)
	}
	return s
}

// The values were made by a second implementation, in Python, out of the package's comment:
// a change of them is a change of the protocol.
func TestTheNumbersStayWhatTheyAre(t *testing.T) {
	job := Product{Seed: seed(), N: 33, Rounds: 2}
	c, err := job.Compute(context.Background())
	require.NoError(t, err)
	require.Equal(t, "02d9b111f7386383", hash32(c))
	memory := Memory{Seed: seed(), Blocks: 5}
	var block Block
	memory.Fill(&block, 3)
	require.Equal(t, "3b2908c8cde9b8e0", hash64(block[:]))
	require.Equal(t, "652586209056425e", hex.EncodeToString(binary.BigEndian.AppendUint64(nil, block.Sum(77))))
	b, w := memory.Step(77, 4, 1234567)
	require.Equal(t, [2]uint64{2, 856}, [2]uint64{b, w})
}

func TestBlocksDependOnSeedAndIndex(t *testing.T) {
	var a, b, c Block
	Memory{Seed: Seed{1}, Blocks: 9}.Fill(&a, 0)
	Memory{Seed: Seed{1}, Blocks: 9}.Fill(&b, 1)
	Memory{Seed: Seed{2}, Blocks: 9}.Fill(&c, 0)
	for i := range a {
		require.False(t, a[i] == b[i] || a[i] == c[i] || b[i] == c[i], i)
	}
}

func TestASumDependsOnEachWordAndOnTheNonce(t *testing.T) {
	var block Block
	Memory{Seed: Seed{1}, Blocks: 9}.Fill(&block, 0)
	sum := block.Sum(5)
	require.NotEqual(t, sum, block.Sum(6))
	for i := 0; i < BlockWords; i += 61 {
		block[i] ^= 1 << (i % 64)
		require.NotEqual(t, sum, block.Sum(5), i)
		block[i] ^= 1 << (i % 64)
	}
	block[0], block[1] = block[1], block[0]
	require.NotEqual(t, sum, block.Sum(5), "words in another order")
}

func TestStepsStayWithinTheBlocksAndReachAllOfThem(t *testing.T) {
	memory := Memory{Blocks: 7}
	var seen [7]int
	for k := range uint64(7000) {
		block, word := memory.Step(1, k, k*k)
		require.Less(t, word, uint64(BlockWords))
		seen[block]++
	}
	for _, times := range seen {
		require.InDelta(t, 1000, times, 200)
	}
}

func BenchmarkFill(b *testing.B) {
	var block Block
	b.SetBytes(BlockBytes)
	for i := range b.N {
		Memory{Blocks: 1}.Fill(&block, uint64(i))
	}
}

func BenchmarkApply1024(b *testing.B) {
	m, x := NewMatrix(Seed{}, 1, 1024), Vector(Seed{1}, 1024)
	for range b.N {
		x = m.Apply(x)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024/1024, "ns/entry")
}

func BenchmarkMultiply512(b *testing.B) {
	const n = 512
	left, right, c := make([]uint32, n*n), make([]uint32, n*n), make([]uint32, n*n)
	NewMatrix(Seed{}, 0, n).Entries(left, 0)
	NewMatrix(Seed{}, 1, n).Entries(right, 0)
	for range b.N {
		_ = Multiply(context.Background(), c, left, right, n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n/n/n, "ns/step")
}
