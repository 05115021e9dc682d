//go:build cgo && linux

package nvml

import (
	"context"
	"errors"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"souk/node/device"
)

var _ device.Reader = (*Source)(nil)

var errUnknown = errors.New("NVIDIA's library didn't list this device at the last look")

// Use is how a device of the last look is used now. Of an instance the library
// tells neither utilisation nor power; its temperature is that of its GPU.
func (s *Source) Use(ctx context.Context, d device.Device) (device.Use, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	handle, whole := s.handles[d.ID], s.handles[d.ID]
	if handle == nil || !s.open {
		return device.Use{}, errUnknown
	}
	use := device.Use{ID: d.ID}
	if parent := s.parents[d.ID]; parent != nil {
		whole = parent
	} else {
		if rates, ret := handle.GetUtilizationRates(); ret == nvml.SUCCESS {
			use.Utilisation = int(min(rates.Gpu, 100))
		}
		if milliwatts, ret := handle.GetPowerUsage(); ret == nvml.SUCCESS {
			use.Watts = int(milliwatts / 1000)
		}
	}
	if memory, ret := handle.GetMemoryInfo(); ret == nvml.SUCCESS {
		use.Memory = bytes(memory.Used)
	}
	if celsius, ret := whole.GetTemperature(nvml.TEMPERATURE_GPU); ret == nvml.SUCCESS {
		use.Celsius = int(celsius)
	}
	compute, _ := handle.GetComputeRunningProcesses()
	graphics, _ := handle.GetGraphicsRunningProcesses()
	seen := map[uint32]bool{}
	for _, p := range append(compute, graphics...) {
		if !seen[p.Pid] {
			seen[p.Pid] = true
			use.Processes = append(use.Processes, device.Process{PID: int(p.Pid), Memory: bytes(p.UsedGpuMemory)})
		}
	}
	return use, ctx.Err()
}
