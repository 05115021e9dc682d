//go:build cgo && linux

package nvml

import (
	"testing"
	"testing/fstest"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/stretchr/testify/require"

	"souk/node/device"
)

func (r *rig) xid(i int, n uint64) {
	r.events = append(r.events, nvml.EventData{Device: r.Devices[i], EventType: nvml.EventTypeXidCriticalError, EventData: n})
}

func TestAnXIDTakesItsGPUOut(t *testing.T) {
	r := newRig(t, dgxa100.New())
	v := device.NewInventory(device.Options{}, r.source)
	_, err := v.Check(t.Context())
	require.NoError(t, err)
	r.xid(3, 31) // a job's own bad access
	changes, err := v.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, changes)
	r.xid(3, 31)
	r.xid(3, 79)
	r.xid(5, 162)
	changes, err = v.Check(t.Context())
	require.NoError(t, err)
	require.Len(t, changes, 2)
	require.Equal(t, device.Gone, changes[0].What)
	require.Equal(t, r.device(3).UUID, changes[0].Device.ID)
	require.Equal(t, "the driver reported XID 79 (it fell off the bus); reset the GPU, then start souk anew", changes[0].Why)
	require.Equal(t, "the driver reported XID 162; reset the GPU, then start souk anew", changes[1].Why)
	changes, err = v.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, changes, "it stays out")
}

func TestBrokenMemoryIsNotOffered(t *testing.T) {
	r := newRig(t, dgxa100.New())
	rows := func(pending, failed bool) func() (int, int, bool, bool, nvml.Return) {
		return func() (int, int, bool, bool, nvml.Return) { return 0, 2, pending, failed, nvml.SUCCESS }
	}
	r.device(0).GetRemappedRowsFunc = rows(true, false)
	r.device(1).GetRemappedRowsFunc = rows(true, true)
	r.device(2).GetRemappedRowsFunc = rows(false, false) // remapped long ago
	r.device(3).GetTotalEccErrorsFunc = func(kind nvml.MemoryErrorType, since nvml.EccCounterType) (uint64, nvml.Return) {
		require.Equal(t, nvml.MEMORY_ERROR_TYPE_UNCORRECTED, kind)
		require.Equal(t, nvml.VOLATILE_ECC, since)
		return 2, nvml.SUCCESS
	}
	devices := r.list(t)
	for i, want := range []string{"wait to be remapped", "needs repair", "", "2 memory errors"} {
		if want == "" {
			require.Empty(t, devices[i].Obstacles)
			continue
		}
		require.Equal(t, device.Faulty, devices[i].Obstacles[0].Code)
		require.Contains(t, devices[i].Obstacles[0].Text, want)
	}
}

func TestAGPUThatFellOffTheBusIsLost(t *testing.T) {
	r := newRig(t, dgxa100.New())
	whole := r.list(t)
	get := r.DeviceGetHandleByIndexFunc
	r.DeviceGetHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		if i == 6 {
			return nil, nvml.ERROR_GPU_IS_LOST
		}
		return get(i)
	}
	r.device(7).GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_GPU_IS_LOST }
	r.device(7).GetUUIDFunc = func() (string, nvml.Return) { return "", nvml.ERROR_GPU_IS_LOST }
	r.xid(7, 79)
	devices := r.list(t)
	for i, d := range devices {
		require.Equal(t, whole[i].ID, d.ID, "as it was known")
		require.Equal(t, i >= 6, len(d.Obstacles) > 0 && d.Obstacles[0].Code == device.Lost)
	}
	require.Len(t, devices[0].Detail.Peers, 5)
	require.Contains(t, devices[7].Obstacles[1].Text, "XID 79", "though it doesn't say any more whose handle that is")

	fresh := newSource(r, fstest.MapFS{})
	t.Cleanup(func() { require.NoError(t, fresh.Close()) })
	devices, err := device.Detect(t.Context(), fresh)
	require.NoError(t, err)
	require.Equal(t, []string{"nvidia-6", "nvidia-7"}, []string{devices[6].ID, devices[7].ID}, "each keeps its place")
	require.Equal(t, device.Lost, devices[6].Obstacles[0].Code)

	r.DeviceGetHandleByIndexFunc = get
	require.Empty(t, r.list(t)[6].Obstacles)
}

func TestWithoutADriverThereIsNothingAndNoError(t *testing.T) {
	for ret, want := range map[nvml.Return]string{
		nvml.ERROR_LIBRARY_NOT_FOUND: "install the driver", nvml.ERROR_DRIVER_NOT_LOADED: "modprobe nvidia",
	} {
		r := newRig(t, dgxa100.New())
		r.InitFunc = func() nvml.Return { return ret }
		require.Empty(t, r.list(t))
		require.Contains(t, r.source.Explain()[0], want)
	}
}

// This machine, with whatever driver it has or hasn't: nothing may break.
func TestTheRealLibraryIsLoadedWhenItIsAskedFor(t *testing.T) {
	s := New()
	_, err := s.Devices(t.Context())
	if err != nil {
		require.ErrorContains(t, err, "NVIDIA")
	}
	require.Len(t, s.Explain(), 1)
	require.NoError(t, s.Close())
}

func TestAnUpgradeUnderTheNodeIsSeen(t *testing.T) {
	r := newRig(t, dgxa100.New())
	require.Len(t, r.list(t), 8)
	r.source.root = fstest.MapFS{"proc/self/maps": {Data: []byte(
		"7f1 r-xp 00000000 08:01 1 /usr/lib/x86_64-linux-gnu/libc.so.6\n" +
			"7f2 r-xp 00000000 08:01 2 /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.54.15 (deleted)\n")}}
	_, err := r.source.Devices(t.Context())
	require.ErrorIs(t, err, device.ErrDriverChanged)

	r.source.root = fstest.MapFS{"proc/self/maps": {Data: []byte("7f2 r-xp 00000000 08:01 2 /usr/lib/libnvidia-ml.so.550.54.15\n")}}
	require.Len(t, r.list(t), 8)
}

func TestALibraryOfAnotherVersionThanTheKernelsIsNamed(t *testing.T) {
	r := newRig(t, dgxa100.New())
	r.InitFunc = func() nvml.Return { return nvml.ERROR_LIB_RM_VERSION_MISMATCH }
	_, err := r.source.Devices(t.Context())
	require.ErrorIs(t, err, device.ErrDriverChanged)
	require.ErrorContains(t, err, "start the machine anew")
	require.Contains(t, r.source.Explain()[0], "of different versions; start the machine anew")
}

func TestAfterAFailureTheSessionBeginsAnew(t *testing.T) {
	r := newRig(t, dgxa100.New())
	require.Len(t, r.list(t), 8)
	count := r.DeviceGetCountFunc
	r.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
	_, err := r.source.Devices(t.Context())
	require.ErrorContains(t, err, "counting GPUs")
	require.NotErrorIs(t, err, device.ErrDriverChanged)
	r.DeviceGetCountFunc = count
	require.Len(t, r.list(t), 8)
	require.Equal(t, []int{2, 1}, []int{r.inits, r.ends})
}
