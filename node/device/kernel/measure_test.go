package kernel

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/modmath"
)

func TestMeasuringCountsWhatWasDone(t *testing.T) {
	m, err := Measure(t.Context(), &CPU{}, 64, 4<<20+5)
	require.NoError(t, err)
	require.Equal(t, "one core of the CPU", m.By)
	require.Equal(t, uint64(4<<20), m.Bytes)
	require.Equal(t, maxMeasured, m.Rounds)
	require.InDelta(t, 64*64*64*maxMeasured/m.Product.Seconds(), m.Rate, 1)
	require.Positive(t, min(m.Fill, m.Step))
	require.Positive(t, m.Read)

	m, err = Measure(t.Context(), &CPU{}, 64, 0)
	require.NoError(t, err)
	require.Zero(t, m.Bytes)

	var tooMuch *MemoryError
	m, err = Measure(t.Context(), &CPU{Memory: 1 << 20}, 64, 2<<20)
	require.ErrorAs(t, err, &tooMuch)
	require.Positive(t, m.Rate, "the products count all the same")
}

// faulty flips a bit of one thing that it computes.
type faulty struct {
	CPU
	product, sum, word int
}

func (f *faulty) Multiply(ctx context.Context, job modmath.Product) (Product, error) {
	p, err := f.CPU.Multiply(ctx, job)
	p.C[0] ^= uint32(f.product)
	return p, err
}

func (f *faulty) Fill(ctx context.Context, job modmath.Memory) (Memory, error) {
	m, err := f.CPU.Fill(ctx, job)
	return &faultyMemory{m, f}, err
}

type faultyMemory struct {
	Memory
	f *faulty
}

func (m *faultyMemory) Sweep(ctx context.Context, nonce uint64) (Sums, error) {
	s, err := m.Memory.Sweep(ctx, nonce)
	for i := range s.Sums {
		s.Sums[i] ^= uint64(m.f.sum)
	}
	return s, err
}

func (m *faultyMemory) Chase(ctx context.Context, nonce, start uint64, steps int) (Trace, error) {
	t, err := m.Memory.Chase(ctx, nonce, start, steps)
	for i := range t.Words {
		t.Words[i] ^= uint64(m.f.word)
	}
	return t, err
}

func TestAFaultyDeviceIsTold(t *testing.T) {
	for _, f := range []*faulty{{product: 1}, {sum: 1}, {word: 1}} {
		var wrong *WrongError
		_, err := Measure(t.Context(), f, 16, 1<<20)
		require.ErrorAs(t, err, &wrong)
	}
	_, err := Measure(t.Context(), &faulty{}, 16, 1<<20)
	require.NoError(t, err)
}
