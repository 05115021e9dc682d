package kernel

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/modmath"
	"souk/node/device"
)

func TestTheReferenceComputesWhatModmathSays(t *testing.T) {
	ctx := context.Background()
	cpu := &CPU{ID: "simulated-0", Memory: 1 << 20}
	require.Equal(t, "simulated-0", cpu.DeviceID())
	job := modmath.Product{Seed: modmath.Seed{1}, N: 33, Rounds: 2}
	product, err := cpu.Multiply(ctx, job)
	require.NoError(t, err)
	require.True(t, job.Verify(product.C, modmath.Vector(modmath.Seed{2}, job.N)))
	require.Positive(t, product.Took)

	memory := modmath.Memory{Seed: modmath.Seed{1}, Blocks: 16}
	filled, err := cpu.Fill(ctx, memory)
	require.NoError(t, err)
	require.Positive(t, filled.Took())
	sums, err := filled.Sweep(ctx, 5)
	require.NoError(t, err)
	require.Len(t, sums.Sums, 16)
	trace, err := filled.Chase(ctx, 5, 6, 100)
	require.NoError(t, err)
	previous := uint64(6)
	for k, word := range trace.Words {
		var block modmath.Block
		b, w := memory.Step(5, uint64(k), previous)
		memory.Fill(&block, b)
		require.Equal(t, block[w], word, k)
		require.Equal(t, block.Sum(5), sums.Sums[b])
		previous = word
	}
	require.NoError(t, filled.Release())
	require.NoError(t, filled.Release())
	require.NoError(t, cpu.Close())
}

func TestTheReferenceRefusesWhatItCanNot(t *testing.T) {
	ctx := context.Background()
	cpu := &CPU{ID: "simulated-0", Memory: 1 << 20}
	_, err := cpu.Fill(ctx, modmath.Memory{Blocks: 17})
	var tooMuch *MemoryError
	require.ErrorAs(t, err, &tooMuch)
	require.Equal(t, uint64(1<<20), tooMuch.Have)
	require.Contains(t, err.Error(), "1MiB")
	_, err = cpu.Fill(ctx, modmath.Memory{})
	require.Error(t, err)
	_, err = cpu.Multiply(ctx, modmath.Product{})
	require.Error(t, err)
	filled, err := cpu.Fill(ctx, modmath.Memory{Blocks: 1})
	require.NoError(t, err)
	for _, steps := range []int{-1, 0, modmath.MaxSteps + 1} {
		_, err = filled.Chase(ctx, 0, 0, steps)
		require.Error(t, err, steps)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = filled.Sweep(ended, 0)
	require.ErrorIs(t, err, context.Canceled)
	_, err = cpu.Fill(ended, modmath.Memory{Blocks: 1})
	require.ErrorIs(t, err, context.Canceled)
}

// driver has one device, or fails to open it.
type driver struct {
	has  device.Device
	fail error
}

func (d driver) Name() string                                     { return "fake" }
func (d driver) Devices(context.Context) ([]device.Device, error) { return []device.Device{d.has}, nil }

func (d driver) Open(_ context.Context, wanted device.Device) (Kernel, error) {
	if !Same(d.has, wanted) {
		return nil, &NotFoundError{Driver: "fake", ID: wanted.ID}
	}
	return &CPU{ID: d.has.ID}, d.fail
}

func TestTheFirstDriverThatHasADeviceOpensIt(t *testing.T) {
	broken := errors.New("the driver is broken")
	drivers := []Driver{
		driver{has: device.Device{ID: "a"}},
		driver{has: device.Device{ID: "b"}, fail: broken},
		driver{has: device.Device{ID: "c", Bus: "0000:03:00.0"}},
	}
	open := func(d device.Device) (Kernel, error) { return Open(t.Context(), d, drivers...) }
	k, err := open(device.Device{ID: "a"})
	require.NoError(t, err)
	require.Equal(t, "a", k.DeviceID())
	_, err = open(device.Device{ID: "b"})
	require.ErrorIs(t, err, broken)
	k, err = open(device.Device{ID: "another name", Bus: "0000:03:00.0"})
	require.NoError(t, err)
	require.Equal(t, "c", k.DeviceID())
	var missing *NotFoundError
	_, err = open(device.Device{ID: "d"})
	require.ErrorAs(t, err, &missing)
	part := device.Device{ID: "MIG-1", Bus: "0000:03:00.0"}
	part.Detail.Parent = "c"
	_, err = open(part)
	require.ErrorAs(t, err, &missing, "an instance isn't the whole GPU")
}
