//go:build cgo && linux

package nvml

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxb200"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh200"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
	"github.com/stretchr/testify/require"

	"souk/node/device"
)

const gib = int64(1) << 30

// rig is one of NVIDIA's mock servers, with what the mocks leave out set to
// what an idle server of that kind reports.
type rig struct {
	*server.Server
	source *Source
	events []nvml.EventData // waiting to be heard
	inits  int
	ends   int
}

func newRig(t *testing.T, s *server.Server) *rig {
	r := &rig{Server: s}
	s.InitFunc = func() nvml.Return { r.inits++; return nvml.SUCCESS }
	s.ShutdownFunc = func() nvml.Return { r.ends++; return nvml.SUCCESS }
	s.EventSetCreateFunc = func() (nvml.EventSet, nvml.Return) {
		return &mock.EventSet{WaitFunc: r.wait, FreeFunc: func() nvml.Return { return nvml.SUCCESS }}, nvml.SUCCESS
	}
	for i := range s.Devices {
		r.idle(i)
	}
	r.source = newSource(s, fstest.MapFS{})
	t.Cleanup(func() { require.NoError(t, r.source.Close()) })
	return r
}

func (r *rig) device(i int) *server.Device { return r.Devices[i].(*server.Device) }

// wait gives the next event, as the library does.
func (r *rig) wait(uint32) (nvml.EventData, nvml.Return) {
	if len(r.events) == 0 {
		return nvml.EventData{}, nvml.ERROR_TIMEOUT
	}
	e := r.events[0]
	r.events = r.events[1:]
	return e, nvml.SUCCESS
}

func (r *rig) idle(i int) {
	d := r.device(i)
	d.MemoryInfo.Used = 600 << 20
	d.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) {
		return nvml.PciInfo{Bus: uint32(0x10 + i)}, nvml.SUCCESS
	}
	d.GetMaxPcieLinkGenerationFunc = func() (int, nvml.Return) { return 4, nvml.SUCCESS }
	d.GetMaxPcieLinkWidthFunc = func() (int, nvml.Return) { return 16, nvml.SUCCESS }
	d.GetEnforcedPowerLimitFunc = func() (uint32, nvml.Return) { return 400_000, nvml.SUCCESS }
	d.GetEccModeFunc = func() (nvml.EnableState, nvml.EnableState, nvml.Return) {
		return nvml.FEATURE_ENABLED, nvml.FEATURE_ENABLED, nvml.SUCCESS
	}
	d.GetDisplayActiveFunc = func() (nvml.EnableState, nvml.Return) { return nvml.FEATURE_DISABLED, nvml.SUCCESS }
	d.GetDisplayModeFunc = func() (nvml.EnableState, nvml.Return) { return nvml.FEATURE_DISABLED, nvml.SUCCESS }
	d.GetRemappedRowsFunc = func() (int, int, bool, bool, nvml.Return) { return 0, 0, false, false, nvml.SUCCESS }
	d.GetTotalEccErrorsFunc = func(nvml.MemoryErrorType, nvml.EccCounterType) (uint64, nvml.Return) { return 0, nvml.SUCCESS }
	d.RegisterEventsFunc = func(uint64, nvml.EventSet) nvml.Return { return nvml.SUCCESS }
	d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 3}, nvml.SUCCESS }
	d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 61_900, nvml.SUCCESS }
	d.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 31, nvml.SUCCESS }
	d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.SUCCESS }
	d.GetGraphicsRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.SUCCESS }
	// A DGX links all its GPUs by switches, which stand on buses of their own.
	d.GetNvLinkStateFunc = func(link int) (nvml.EnableState, nvml.Return) {
		if link >= 12 {
			return nvml.FEATURE_DISABLED, nvml.ERROR_INVALID_ARGUMENT
		}
		return nvml.FEATURE_ENABLED, nvml.SUCCESS
	}
	d.GetNvLinkRemotePciInfoFunc = func(link int) (nvml.PciInfo, nvml.Return) {
		return nvml.PciInfo{Bus: uint32(0xc0 + link%6)}, nvml.SUCCESS
	}
}

// list is what the source lists now.
func (r *rig) list(t *testing.T) []device.Device {
	t.Helper()
	devices, err := device.Detect(t.Context(), r.source)
	require.NoError(t, err)
	return devices
}

func TestEveryDGXIsRead(t *testing.T) {
	for name, row := range map[string]struct {
		server  *server.Server
		slug    string
		vram    int64
		compute string
		driver  string
	}{
		"A100": {dgxa100.New(), "mock-a100-40gb", 40 * gib, "8.0", "nvidia 550.54.15"},
		"H100": {dgxh100.New(), "h100-80gb", 80 * gib, "9.0", "nvidia 550.54.15"},
		"H200": {dgxh200.New(), "h200-141gb", 0, "9.0", "nvidia 550.54.15"},
		"B200": {dgxb200.New(), "b200-180gb", 180 * gib, "10.0", "nvidia 560.28.03"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, row.server)
			devices := r.list(t)
			require.Len(t, devices, 8)
			peers := map[string]bool{}
			for i, d := range devices {
				require.Equal(t, r.device(i).UUID, d.ID)
				require.Equal(t, row.slug, d.Slug, d.Model)
				if row.vram > 0 {
					require.Equal(t, row.vram, d.VRAM)
				}
				require.Equal(t, device.Claimed, d.Kind)
				require.Equal(t, "nvidia", d.Vendor)
				require.Equal(t, row.driver, d.Driver)
				require.Equal(t, fmt.Sprintf("0000:%02x:00.0", 0x10+i), d.Bus)
				require.Equal(t, row.compute, d.Detail.Compute)
				require.Regexp(t, `^12\.[46]$`, d.Detail.CUDA)
				require.Equal(t, []int{4, 16, 400}, []int{d.Detail.PCIeGen, d.Detail.PCIeWidth, d.Detail.PowerLimit})
				require.Equal(t, "on", d.Detail.ECC)
				require.Len(t, d.Detail.Peers, 7, "every GPU reaches every other through the switches")
				require.NotContains(t, d.Detail.Peers, d.ID)
				require.Contains(t, d.Detail.Nodes, fmt.Sprintf("/dev/nvidia%d", i))
				require.Empty(t, d.Obstacles)
				peers[d.ID] = true
			}
			require.Len(t, peers, 8)
			require.Equal(t, 1, r.inits)
			r.list(t)
			require.Equal(t, 1, r.inits, "the session stays open")
		})
	}
}

// Two pairs of cards with a bridge each, and four cards with none.
func TestBridgesLinkPairs(t *testing.T) {
	r := newRig(t, dgxa100.New())
	for i := range 8 {
		r.device(i).GetNvLinkStateFunc = func(link int) (nvml.EnableState, nvml.Return) {
			if i < 4 && link < 4 {
				return nvml.FEATURE_ENABLED, nvml.SUCCESS
			}
			return nvml.FEATURE_DISABLED, nvml.ERROR_NOT_SUPPORTED
		}
		r.device(i).GetNvLinkRemotePciInfoFunc = func(int) (nvml.PciInfo, nvml.Return) {
			return nvml.PciInfo{Bus: uint32(0x10 + i ^ 1)}, nvml.SUCCESS
		}
	}
	for i, d := range r.list(t) {
		if i < 4 {
			require.Equal(t, []string{r.device(i ^ 1).UUID}, d.Detail.Peers)
		} else {
			require.Empty(t, d.Detail.Peers)
		}
	}
}

func TestUseIsWhatTheDriverReports(t *testing.T) {
	r := newRig(t, dgxh100.New())
	d := r.device(2)
	d.MemoryInfo.Used = 20 << 30
	d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 97}, nvml.SUCCESS }
	d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) {
		return []nvml.ProcessInfo{{Pid: 7, UsedGpuMemory: 19 << 30}, {Pid: 8, UsedGpuMemory: ^uint64(0)}}, nvml.SUCCESS
	}
	d.GetGraphicsRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) {
		return []nvml.ProcessInfo{{Pid: 7, UsedGpuMemory: 19 << 30}}, nvml.SUCCESS
	}
	devices := r.list(t)
	use, err := r.source.Use(t.Context(), devices[2])
	require.NoError(t, err)
	require.Equal(t, device.Use{
		ID: d.UUID, Utilisation: 97, Memory: 20 * gib, Celsius: 31, Watts: 61,
		Processes: []device.Process{{PID: 7, Memory: 19 * gib}, {PID: 8}},
	}, use)
	_, err = r.source.Use(t.Context(), device.Device{ID: "GPU-unknown"})
	require.Error(t, err)
}

// What an old or small GPU doesn't support is left out and nothing else.
func TestWhatADriverDoesntSupportIsLeftOut(t *testing.T) {
	r := newRig(t, dgxa100.New())
	r.Devices = r.Devices[:1]
	d := r.device(0)
	no := nvml.ERROR_NOT_SUPPORTED
	d.GetCudaComputeCapabilityFunc = func() (int, int, nvml.Return) { return 0, 0, no }
	d.GetMaxPcieLinkGenerationFunc = func() (int, nvml.Return) { return 0, no }
	d.GetMaxPcieLinkWidthFunc = func() (int, nvml.Return) { return 0, no }
	d.GetEnforcedPowerLimitFunc = func() (uint32, nvml.Return) { return 0, no }
	d.GetEccModeFunc = func() (nvml.EnableState, nvml.EnableState, nvml.Return) { return 0, 0, no }
	d.GetDisplayActiveFunc = func() (nvml.EnableState, nvml.Return) { return 0, no }
	d.GetDisplayModeFunc = func() (nvml.EnableState, nvml.Return) { return 0, no }
	d.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) { return nvml.PciInfo{}, no }
	d.GetMigModeFunc = func() (int, int, nvml.Return) { return 0, 0, no }
	d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, no }
	d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, no }
	d.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 0, no }
	d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, no }
	d.GetGraphicsRunningProcessesFunc = d.GetComputeRunningProcessesFunc
	// Of the functions that are younger than the library, none may be called.
	r.LookupSymbolFunc = func(string) error { return fmt.Errorf("undefined symbol") }
	r.Server.LookupSymbolFunc = r.LookupSymbolFunc
	d.GetMigModeFunc, d.GetRemappedRowsFunc, d.GetNvLinkStateFunc, d.RegisterEventsFunc = nil, nil, nil, nil

	devices := r.list(t)
	require.Len(t, devices, 1)
	require.Equal(t, device.Detail{CUDA: "12.4", Nodes: []string{"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0"}}, devices[0].Detail)
	require.Empty(t, devices[0].Obstacles)
	use, err := r.source.Use(t.Context(), devices[0])
	require.NoError(t, err)
	require.Equal(t, device.Use{ID: d.UUID, Memory: 600 << 20}, use)
}

func TestAnOldDriverIsNotOffered(t *testing.T) {
	r := newRig(t, dgxa100.New())
	r.DriverVersion = "390.157"
	d := r.list(t)[0]
	require.Equal(t, []device.Obstacle{{Code: device.OldDriver, Text: "the driver is 390.157; install 450 or newer"}}, d.Obstacles)
}

func TestAScreenIsSeen(t *testing.T) {
	on := func() (nvml.EnableState, nvml.Return) { return nvml.FEATURE_ENABLED, nvml.SUCCESS }
	r := newRig(t, dgxa100.New())
	r.device(0).GetDisplayActiveFunc = on
	r.device(1).GetDisplayModeFunc = on
	devices := r.list(t)
	require.Equal(t, device.Display, devices[0].Obstacles[0].Code)
	require.Equal(t, device.Display, devices[1].Obstacles[0].Code)
	require.Empty(t, devices[2].Obstacles)
}
