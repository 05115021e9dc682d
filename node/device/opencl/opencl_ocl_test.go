//go:build opencltest

package opencl

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/modmath"
	"souk/node/device/kernel"
)

// device0 opens the first device of this machine, of whatever type.
func device0(t *testing.T) *Kernel {
	t.Helper()
	source := Source{CPU: true}
	devices, err := source.Devices(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, devices, "this machine has no OpenCL device; Debian's pocl-opencl-icd brings one")
	k, err := source.Open(t.Context(), devices[0])
	require.NoError(t, err)
	require.Equal(t, devices[0].ID, k.DeviceID())
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	t.Log(k.Name())
	return k.(*Kernel)
}

func TestProductsAreTheReferences(t *testing.T) {
	k := device0(t)
	for _, c := range []struct{ n, rounds int }{{1, 1}, {3, 2}, {15, 4}, {63, 1}, {64, 2}, {65, 3}, {130, 2}, {257, 1}, {512, 2}} {
		t.Run(fmt.Sprintf("n=%d rounds=%d", c.n, c.rounds), func(t *testing.T) {
			job := modmath.Product{Seed: modmath.Seed{byte(c.n), 7}, N: c.n, Rounds: c.rounds}
			want, err := job.Compute(t.Context())
			require.NoError(t, err)
			got, err := k.Multiply(t.Context(), job)
			require.NoError(t, err)
			require.Equal(t, want, got.C)
			require.Positive(t, got.Took)
		})
	}
}

func TestMemoryIsTheReferences(t *testing.T) {
	k := device0(t)
	job := modmath.Memory{Seed: modmath.Seed{1}, Blocks: 64 << 20 / modmath.BlockBytes}
	cpu := &kernel.CPU{}
	reference, err := cpu.Fill(t.Context(), job)
	require.NoError(t, err)
	wantSums, err := reference.Sweep(t.Context(), 77)
	require.NoError(t, err)
	wantTrace, err := reference.Chase(t.Context(), 78, 79, 5000)
	require.NoError(t, err)
	for _, chunk := range []uint64{1 << 20, 1024, 1000, 131} {
		t.Run(fmt.Sprintf("pieces of %d blocks", chunk), func(t *testing.T) {
			m, err := k.fill(t.Context(), job, chunk)
			require.NoError(t, err)
			sums, err := m.Sweep(t.Context(), 77)
			require.NoError(t, err)
			require.Equal(t, wantSums.Sums, sums.Sums)
			trace, err := m.Chase(t.Context(), 78, 79, 5000)
			require.NoError(t, err)
			require.Equal(t, wantTrace.Words, trace.Words)
			require.Positive(t, min(m.Took(), sums.Took, trace.Took))
			require.NoError(t, m.Release())
			require.NoError(t, m.Release())
			_, err = m.Sweep(t.Context(), 77)
			require.ErrorIs(t, err, errClosed)
		})
	}
}

func TestTheDeviceRefusesWhatItCanNot(t *testing.T) {
	k := device0(t)
	var tooMuch *kernel.MemoryError
	_, err := k.Fill(t.Context(), modmath.Memory{Blocks: modmath.MaxBlocks})
	require.ErrorAs(t, err, &tooMuch)
	require.NotZero(t, tooMuch.Have)
	_, err = k.fill(t.Context(), modmath.Memory{Blocks: 9}, 1)
	require.ErrorAs(t, err, &tooMuch)
	_, err = k.Multiply(t.Context(), modmath.Product{N: modmath.MaxN + 1, Rounds: 1})
	require.Error(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = k.Multiply(ended, modmath.Product{N: 64, Rounds: 1})
	require.ErrorIs(t, err, context.Canceled)
	_, err = k.Fill(ended, modmath.Memory{Blocks: 1})
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, k.Close())
	_, err = k.Multiply(t.Context(), modmath.Product{N: 64, Rounds: 1})
	require.ErrorIs(t, err, errClosed)
	_, err = k.Fill(t.Context(), modmath.Memory{Blocks: 1})
	require.ErrorIs(t, err, errClosed)
}

func TestCPUsAreListedOnlyWhenAskedFor(t *testing.T) {
	all, err := Source{CPU: true}.Devices(t.Context())
	require.NoError(t, err)
	some, err := Source{}.Devices(t.Context())
	require.NoError(t, err)
	require.Less(t, len(some), len(all), "PoCL's CPU must not be listed as a GPU")
	var missing *kernel.NotFoundError
	_, err = Source{}.Open(t.Context(), all[0])
	require.ErrorAs(t, err, &missing)
}

func TestABrokenTextGivesTheCompilersWords(t *testing.T) {
	k := device0(t)
	_, err := open(k.lib, k.device, "__kernel void entries(nonsense x) {}")
	var failed *Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, int32(buildFailed), failed.Status)
	require.Contains(t, failed.Log, "nonsense")
	require.LessOrEqual(t, len(failed.Log), maxLog+10)
}
