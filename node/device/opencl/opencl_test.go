package opencl

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/internal/modmath"
	"souk/node/device/kernel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDevicesHaveTheIDsOfTheirMakers(t *testing.T) {
	uuid := []byte("\x5a\x0d\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e")
	topology := make([]byte, 24)
	topology[0], topology[21], topology[22], topology[23] = 1, 0x0a, 0x1f, 1
	cpu := gpu("Some CPU", 0x8086)
	cpu.kind = typeCPU
	f := &fake{platforms: [][]fakeDevice{
		{
			gpu("NVIDIA GeForce RTX 4090", vendorNVIDIA).with(infoUUID, uuid),
			gpu("gfx1100", vendorAMD).with(infoBoardAMD, []byte("AMD Radeon RX 7900 XTX\x00")).with(infoTopologyAMD, topology),
			gpu("Arc A770", 0x8086).with(infoPCI, words(0, 3, 0, 0)).with(infoUUID, uuid),
		},
		{ // another driver of the same devices, and what isn't usable
			gpu("NVIDIA GeForce RTX 4090", vendorNVIDIA).with(infoUUID, uuid),
			gpu("Off", 1).with(infoAvailable, words(0)),
			gpu("Without a compiler", 1).with(infoCompiler, words(0)),
			gpu("Without memory", 1).with(infoGlobalSize, long(0)),
			gpu("***", 1),
			cpu,
		},
		{gpu("Mali", 2), gpu("Mali", 2), gpu("Mali", 2)},
		{gpu("Tesla K80", vendorNVIDIA).with(infoBusNVIDIA, words(0x84)).with(infoSlotNVIDIA, words(0)).with(infoDomainNVIDIA, words(1))},
	}}
	ids := func(cpu bool) (ids []string) {
		found, err := f.library().list(cpu)
		require.NoError(t, err)
		for _, d := range found {
			ids = append(ids, d.ID+" "+d.Slug)
		}
		return ids
	}
	want := []string{
		"GPU-5a0d0102-0304-0506-0708-090a0b0c0d0e rtx-4090", "pci-0000:0a:1f.1 rx-7900-xtx", "pci-0000:03:00.0 arc-a770",
		"opencl-mali-0 mali", "opencl-mali-1 mali", "opencl-mali-2 mali",
		"pci-0001:84:00.0 k80",
	}
	require.Equal(t, want, ids(false))
	require.Contains(t, ids(true), "opencl-some-cpu-0 some-cpu")
}

func TestNoPlatformIsNoErrorAndABrokenOneIs(t *testing.T) {
	f := &fake{fail: "platforms", status: platformNotFound}
	found, err := f.library().list(true)
	require.NoError(t, err)
	require.Empty(t, found)
	f = &fake{platforms: [][]fakeDevice{{gpu("A", 1)}}, fail: "devices", status: outOfHostMemory}
	_, err = f.library().list(true)
	require.ErrorContains(t, err, "OpenCL failed at listing devices: out of host memory (OpenCL status -6)")
}

// opened opens the only device of a driver.
func opened(t *testing.T, f *fake) (*Kernel, error) {
	f.platforms = [][]fakeDevice{{gpu("Mali", 2)}}
	lib := f.library()
	found, err := lib.list(false)
	require.NoError(t, err)
	return open(lib, found[0], kernels)
}

func TestNothingIsLeftWhateverCallFails(t *testing.T) {
	work := func(k *Kernel) error {
		if _, err := k.Multiply(context.Background(), modmath.Product{N: 65, Rounds: 3}); err != nil {
			return err
		}
		m, err := k.fill(context.Background(), modmath.Memory{Blocks: 10}, 4)
		if err != nil {
			return err
		}
		_, sweepErr := m.Sweep(context.Background(), 1)
		_, chaseErr := m.Chase(context.Background(), 1, 2, 3)
		return errors.Join(sweepErr, chaseErr, m.Release())
	}
	for _, call := range []string{"context", "queue", "program", "build", "kernel", "argument", "buffer", "launch", "finish", "read", ""} {
		t.Run(call, func(t *testing.T) {
			f := &fake{fail: call, status: invalidValue}
			k, err := opened(t, f)
			if err == nil {
				err = work(k)
				require.NoError(t, k.Close())
				require.NoError(t, k.Close())
			}
			if call != "" {
				var failed *Error
				require.ErrorAs(t, err, &failed)
				require.Equal(t, int32(invalidValue), failed.Status)
				require.Equal(t, "Mali", failed.Device)
			} else {
				require.NoError(t, err)
			}
			require.Empty(t, f.left())
		})
	}
}

func TestWantOfMemoryIsToldApart(t *testing.T) {
	for _, status := range []int32{allocationFailed, outOfResources, outOfHostMemory, invalidBufferSize} {
		for _, call := range []string{"buffer", "launch", "finish"} {
			f := &fake{fail: call, status: status}
			k, err := opened(t, f)
			require.NoError(t, err)
			_, err = k.Fill(t.Context(), modmath.Memory{Blocks: 10})
			var tooMuch *kernel.MemoryError
			require.ErrorAs(t, err, &tooMuch)
			require.Equal(t, uint64(10*modmath.BlockBytes), tooMuch.Want)
			require.NoError(t, k.Close())
			require.Empty(t, f.left())
		}
	}
}

func TestTheCompilersWordsAreCut(t *testing.T) {
	f := &fake{fail: "build", status: buildFailed, log: "line 1:\n  error\x00"}
	_, err := opened(t, f)
	require.EqualError(t, err, "Mali failed at building the kernels: build failed (OpenCL status -11): line 1: error")
	f = &fake{fail: "build", status: buildFailed, log: strings.Repeat("é", 5000)}
	_, err = opened(t, f)
	require.Less(t, len(err.Error()), maxLog+200)
	require.Empty(t, f.left())
}

func TestLargeProductsAreLaunchedInBands(t *testing.T) {
	f := &fake{}
	k, err := opened(t, f)
	require.NoError(t, err)
	f.calls = nil
	_, err = k.Multiply(t.Context(), modmath.Product{N: 4096, Rounds: 1})
	require.NoError(t, err)
	launches := 0
	for _, call := range f.calls {
		if call == "launch" {
			launches++
		}
	}
	require.Equal(t, 2+4096/(launch/(4096*4096)), launches)
	require.NoError(t, k.Close())
}

func TestADriverThatHangsIsLeftBehind(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	entered, hang := make(chan struct{}), make(chan struct{})
	f := &fake{}
	k, err := opened(t, f)
	require.NoError(t, err)
	go func() {
		<-entered
		cancel()
	}()
	_, err = await(ctx, func() (*Kernel, error) {
		close(entered)
		<-hang
		return k, nil
	})
	require.ErrorIs(t, err, context.Canceled)
	close(hang)
	require.Eventually(t, func() bool {
		k.mutex.Lock()
		defer k.mutex.Unlock()
		return k.closed
	}, 10e9, 1e6)
	require.Empty(t, f.left())
}
