//go:build cgo && linux

package nvml

import (
	"fmt"
	"slices"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
	"github.com/stretchr/testify/require"

	"souk/node/device"
)

// partition turns MIG on and cuts a GPU into instances of those profiles, as
// nvidia-smi mig -cgi -C does; the mock servers keep the instances, and here
// they get the handles that the library gives out for them.
func (r *rig) partition(t *testing.T, i int, profiles ...int) {
	d := r.device(i)
	_, ret := d.SetMigMode(nvml.DEVICE_MIG_ENABLE)
	require.Equal(t, nvml.SUCCESS, ret)
	clear(d.GpuInstances)
	for _, profile := range profiles {
		info, ret := d.GetGpuInstanceProfileInfo(profile)
		require.Equal(t, nvml.SUCCESS, ret)
		_, ret = d.CreateGpuInstance(&info)
		require.Equal(t, nvml.SUCCESS, ret)
	}
	d.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 7, nvml.SUCCESS }
	d.GetMigDeviceHandleByIndexFunc = func(n int) (nvml.Device, nvml.Return) {
		handles := slice(d)
		if n >= len(handles) {
			return nil, nvml.ERROR_NOT_FOUND
		}
		return handles[n], nvml.SUCCESS
	}
}

func slice(d *server.Device) []nvml.Device {
	var instances []*server.GpuInstance
	for gi := range d.GpuInstances {
		instances = append(instances, gi)
	}
	slices.SortFunc(instances, func(a, b *server.GpuInstance) int { return int(a.Info.Id) - int(b.Info.Id) })
	var out []nvml.Device
	for _, gi := range instances {
		profile := d.Config.MIGProfiles.GpuInstanceProfiles[int(gi.Info.ProfileId)]
		size := profile.MemorySizeMB << 20
		out = append(out, &mock.Device{
			GetUUIDFunc: func() (string, nvml.Return) {
				return fmt.Sprintf("MIG-%s-%d", d.UUID[4:], gi.Info.Id), nvml.SUCCESS
			},
			GetNameFunc: func() (string, nvml.Return) {
				return fmt.Sprintf("%s MIG %dg.%dgb", d.Config.Name, profile.SliceCount, (size+(1<<30)-1)>>30), nvml.SUCCESS
			},
			GetMemoryInfoFunc: func() (nvml.Memory, nvml.Return) {
				return nvml.Memory{Total: size, Used: 13 << 20}, nvml.SUCCESS
			},
			GetComputeRunningProcessesFunc: func() ([]nvml.ProcessInfo, nvml.Return) {
				return []nvml.ProcessInfo{{Pid: 9, UsedGpuMemory: 1 << 20, GpuInstanceId: gi.Info.Id}}, nvml.SUCCESS
			},
			GetGraphicsRunningProcessesFunc: func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.ERROR_NOT_SUPPORTED },
		})
	}
	return out
}

func TestAPartitionedGPUIsLeasedByItsInstances(t *testing.T) {
	r := newRig(t, dgxh100.New())
	r.partition(t, 1, nvml.GPU_INSTANCE_PROFILE_3_SLICE, nvml.GPU_INSTANCE_PROFILE_1_SLICE, nvml.GPU_INSTANCE_PROFILE_1_SLICE)
	devices := r.list(t)
	require.Len(t, devices, 8+3)
	whole, parts := devices[1], devices[2:5]
	require.Equal(t, device.Partitioned, whole.Obstacles[0].Code)
	for i, d := range parts {
		require.Equal(t, whole.ID, d.Detail.Parent)
		require.Equal(t, whole.Bus, d.Bus)
		require.Equal(t, "9.0", d.Detail.Compute)
		require.Empty(t, d.Detail.Peers, "instances have no links")
		require.Empty(t, d.Obstacles)
		require.Regexp(t, fmt.Sprintf(`^MIG-.*-%d$`, i), d.ID)
	}
	require.Equal(t, "h100-80gb-mig-3g-40gb", parts[0].Slug)
	require.Equal(t, "3g.40gb", parts[0].Detail.Profile)
	require.Equal(t, "h100-80gb-mig-1g-10gb", parts[2].Slug)
	require.Less(t, parts[2].VRAM, 11*gib)

	use, err := r.source.Use(t.Context(), parts[0])
	require.NoError(t, err)
	require.Equal(t, device.Use{ID: parts[0].ID, Memory: 13 << 20, Celsius: 31, Processes: []device.Process{{PID: 9, Memory: 1 << 20}}}, use)
}

// The whole way through the inventory: the GPU goes, its instances come, and
// when it is cut anew those go and others come.
func TestPartitioningAnewIsSeen(t *testing.T) {
	r := newRig(t, dgxa100.New())
	r.Devices = r.Devices[:1]
	v := device.NewInventory(device.Options{}, r.source)
	check := func() (out []string) {
		changes, err := v.Check(t.Context())
		require.NoError(t, err)
		for _, c := range changes {
			out = append(out, fmt.Sprintf("%s%s %s", c.Device.ID[:3], c.Device.Detail.Profile, c.What))
		}
		return out
	}
	require.Equal(t, []string{"GPU back"}, check())
	r.partition(t, 0, nvml.GPU_INSTANCE_PROFILE_4_SLICE)
	require.Equal(t, []string{"GPU gone", "MIG4g.20gb back"}, check())
	r.partition(t, 0, nvml.GPU_INSTANCE_PROFILE_2_SLICE, nvml.GPU_INSTANCE_PROFILE_2_SLICE)
	require.Equal(t, []string{"MIG2g.10gb back", "MIG2g.10gb back", "MIG4g.20gb out"}, check())
	require.Equal(t, []string{"MIG4g.20gb gone"}, check())
	_, ret := r.device(0).SetMigMode(nvml.DEVICE_MIG_DISABLE)
	require.Equal(t, nvml.SUCCESS, ret)
	require.ElementsMatch(t, []string{"GPU back", "MIG2g.10gb out", "MIG2g.10gb out"}, check())
}

func TestWhatIsWrongWithAGPUIsWrongWithItsInstances(t *testing.T) {
	r := newRig(t, dgxa100.New())
	r.partition(t, 0, nvml.GPU_INSTANCE_PROFILE_7_SLICE)
	r.device(0).GetRemappedRowsFunc = func() (int, int, bool, bool, nvml.Return) { return 1, 0, true, false, nvml.SUCCESS }
	devices := r.list(t)
	require.Len(t, devices[0].Obstacles, 2)
	require.Equal(t, []device.Obstacle{devices[0].Obstacles[0]}, devices[1].Obstacles)
	require.Equal(t, device.Faulty, devices[1].Obstacles[0].Code)
}
