package cuda

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/internal/modmath"
	"souk/node/device"
	"souk/node/device/kernel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start opens the first device of a driver, and sees that nothing is left of it at the end.
func start(t *testing.T, f *fake) *Kernel {
	t.Helper()
	lib := f.library()
	found, err := lib.list()
	require.NoError(t, err)
	k, err := open(lib, found[0])
	require.NoError(t, errors.Join(err, f.err))
	t.Cleanup(func() {
		require.NoError(t, k.Close())
		require.NoError(t, k.Close())
		require.Empty(t, f.left())
	})
	return k
}

func TestProductsAreTheReferences(t *testing.T) {
	f := newFake("NVIDIA GeForce RTX 4090")
	k := start(t, f)
	for _, c := range []struct{ n, rounds int }{{1, 1}, {3, 3}, {16, 2}, {63, 1}, {65, 1}} {
		t.Run(fmt.Sprintf("n=%d rounds=%d", c.n, c.rounds), func(t *testing.T) {
			job := modmath.Product{Seed: modmath.Seed{byte(c.n), 7}, N: c.n, Rounds: c.rounds}
			want, err := job.Compute(t.Context())
			require.NoError(t, err)
			got, err := k.Multiply(t.Context(), job)
			require.NoError(t, errors.Join(err, f.err))
			require.Equal(t, want, got.C)
			require.Positive(t, got.Took)
		})
	}
}

func TestBandsOfRowsAreTheReferences(t *testing.T) {
	f := newFake("NVIDIA GeForce RTX 4090")
	k := start(t, f)
	const n = 70
	job := modmath.Product{Seed: modmath.Seed{1}, N: n, Rounds: 1}
	want, err := job.Compute(t.Context())
	require.NoError(t, err)
	got := make([]uint32, n*n)
	require.NoError(t, k.locked(func() error {
		return k.with(3*4*n*n, func(at uint64) error {
			left, right, out := at, at+4*n*n, at+2*4*n*n
			require.NoError(t, k.entries(t.Context(), left, job.Matrix(0), n*n))
			require.NoError(t, k.entries(t.Context(), right, job.Matrix(1), n*n))
			for _, first := range []uint32{64, 0} {
				require.NoError(t, k.run(t.Context(), "multiply", grid{2, 1, 16, 16}, left, right, out, uint32(n), first))
			}
			return read(k, out, got)
		})
	}))
	require.Equal(t, want, got)
}

func TestMemoryIsTheReferences(t *testing.T) {
	f := newFake("NVIDIA GeForce RTX 4090")
	k := start(t, f)
	job := modmath.Memory{Seed: modmath.Seed{1}, Blocks: 21}
	reference, err := (&kernel.CPU{}).Fill(t.Context(), job)
	require.NoError(t, err)
	wantSums, err := reference.Sweep(t.Context(), 77)
	require.NoError(t, err)
	wantTrace, err := reference.Chase(t.Context(), 78, 79, 3000)
	require.NoError(t, err)

	m, err := k.Fill(t.Context(), job)
	require.NoError(t, errors.Join(err, f.err))
	sums, err := m.Sweep(t.Context(), 77)
	require.NoError(t, errors.Join(err, f.err))
	require.Equal(t, wantSums.Sums, sums.Sums)
	trace, err := m.Chase(t.Context(), 78, 79, 3000)
	require.NoError(t, errors.Join(err, f.err))
	require.Equal(t, wantTrace.Words, trace.Words)
	require.Positive(t, min(m.Took(), sums.Took, trace.Took))
	require.NoError(t, m.Release())
	require.NoError(t, m.Release())
	_, err = m.Sweep(t.Context(), 77)
	require.ErrorIs(t, err, errClosed)
	_, err = m.Chase(t.Context(), 1, 2, 0)
	require.Error(t, err)
}

func TestDevicesHaveTheIDsOfNVML(t *testing.T) {
	found, err := newFake("NVIDIA GeForce RTX 4090", "Tesla T4").library().list()
	require.NoError(t, err)
	require.Equal(t, "GPU-5a0d0000-0000-0000-0000-00000000000a", found[0].ID)
	require.Equal(t, "GPU-5a0d0000-0000-0000-0000-00000000000b", found[1].ID)
	require.Equal(t, "t4", found[1].Slug)
	require.Equal(t, int64(8<<30), found[1].VRAM)
}

func TestNoDriverAndNoDeviceAreNoErrors(t *testing.T) {
	for _, status := range []int32{noDevice, insufficientDriver, stubLibrary} {
		f := newFake("A")
		f.fail, f.status = "init", status
		found, err := f.library().list()
		require.NoError(t, err)
		require.Empty(t, found)
	}
	f := newFake("A")
	f.fail, f.status = "init", 803
	_, err := f.library().list()
	require.EqualError(t, err, "CUDA failed at starting the driver: driver and library are of different versions; "+
		"restart the machine, or reload the driver (CUDA status 803)")
}

func TestNothingIsLeftWhateverCallFails(t *testing.T) {
	work := func(k *Kernel) error {
		if _, err := k.Multiply(context.Background(), modmath.Product{N: 5, Rounds: 1}); err != nil {
			return err
		}
		m, err := k.Fill(context.Background(), modmath.Memory{Blocks: 2})
		if err != nil {
			return err
		}
		_, sweepErr := m.Sweep(context.Background(), 1)
		_, chaseErr := m.Chase(context.Background(), 1, 2, 3)
		return errors.Join(sweepErr, chaseErr, m.Release())
	}
	for _, call := range []string{"retain", "load", "function", "push", "allocate", "launch", "synchronize", "copy"} {
		for after := range 3 {
			t.Run(fmt.Sprintf("%s after %d", call, after), func(t *testing.T) {
				f := newFake("A")
				lib := f.library()
				found, err := lib.list()
				require.NoError(t, err)
				f.fail, f.status, f.after = call, 700, after
				k, err := open(lib, found[0])
				if err == nil {
					err = work(k)
					f.fail = ""
					require.NoError(t, k.Close())
				}
				if (call == "retain" || call == "load") && after > 0 {
					require.NoError(t, err)
				} else {
					var failed *Error
					require.ErrorAs(t, err, &failed)
					require.Equal(t, "A", failed.Device)
				}
				if call != "push" { // where the context can't be entered nothing can be given back
					require.Empty(t, f.left())
				}
			})
		}
	}
}

func TestWantOfMemoryIsToldApart(t *testing.T) {
	f := newFake("A")
	k := start(t, f)
	var tooMuch *kernel.MemoryError
	_, err := k.Fill(t.Context(), modmath.Memory{Blocks: 8<<30/modmath.BlockBytes + 1})
	require.ErrorAs(t, err, &tooMuch)
	require.Equal(t, uint64(8<<30), tooMuch.Have)
	f.fail, f.status = "allocate", outOfMemory
	_, err = k.Fill(t.Context(), modmath.Memory{Blocks: 100})
	require.ErrorAs(t, err, &tooMuch)
	require.Equal(t, uint64(1<<20), tooMuch.Have)
	f.fail = ""
}

func TestTheCompilersWordsAreCut(t *testing.T) {
	f := newFake("A")
	lib := f.library()
	found, err := lib.list()
	require.NoError(t, err)
	f.fail, f.status, f.log = "load", 222, "ptxas fatal:\n  "+strings.Repeat("é", 5000)
	_, err = open(lib, found[0])
	require.ErrorContains(t, err, "A failed at compiling the kernels: the driver is too old for the kernels' PTX; "+
		"install CUDA 9.2 (396) or later (CUDA status 222): ptxas fatal: é")
	require.Less(t, len(err.Error()), maxLog+300)
	require.Empty(t, f.left())
}

func TestAContextsEndIsNoticed(t *testing.T) {
	k := start(t, newFake("A"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := k.Multiply(ended, modmath.Product{N: 64, Rounds: 1})
	require.ErrorIs(t, err, context.Canceled)
	_, err = k.Fill(ended, modmath.Memory{Blocks: 1})
	require.ErrorIs(t, err, context.Canceled)
	_, err = Source{}.Devices(ended)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, k.Close())
	_, err = k.Multiply(t.Context(), modmath.Product{N: 64, Rounds: 1})
	require.ErrorIs(t, err, errClosed)
	_, err = k.Fill(t.Context(), modmath.Memory{Blocks: 1})
	require.ErrorIs(t, err, errClosed)
	_, err = k.Multiply(t.Context(), modmath.Product{})
	require.Error(t, err)
}

// A machine without an NVIDIA driver has no devices; one with a driver opens none of this name.
func TestADeviceThatIsNotThereIsNotFound(t *testing.T) {
	var missing *kernel.NotFoundError
	_, err := Source{}.Open(t.Context(), device.Device{ID: "GPU-none"})
	require.ErrorAs(t, err, &missing)
}
