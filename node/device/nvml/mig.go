//go:build cgo && linux

package nvml

import (
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"souk/node/device"
)

// partitioned tells whether MIG is on.
func (s *Source) partitioned(handle nvml.Device) bool {
	if !s.has("nvmlDeviceGetMigMode") {
		return false
	}
	current, _, ret := handle.GetMigMode()
	return ret == nvml.SUCCESS && current == nvml.DEVICE_MIG_ENABLE
}

// instances are the parts that a GPU in MIG mode was cut into. What is wrong
// with the GPU is wrong with each of them.
func (s *Source) instances(g *gpu) []device.Device {
	if !g.mig {
		return nil
	}
	most, ret := g.handle.GetMaxMigDeviceCount()
	if ret != nvml.SUCCESS {
		return nil
	}
	var out []device.Device
	for i := range min(most, maxDevices) {
		handle, ret := g.handle.GetMigDeviceHandleByIndex(i)
		if ret != nvml.SUCCESS {
			continue // that place is empty
		}
		if d, ok := s.instance(g, handle); ok {
			out = append(out, d)
		}
	}
	return out
}

func (s *Source) instance(g *gpu, handle nvml.Device) (device.Device, bool) {
	uuid, ret := handle.GetUUID()
	if ret != nvml.SUCCESS {
		return device.Device{}, false
	}
	memory, ret := handle.GetMemoryInfo()
	if ret != nvml.SUCCESS {
		return device.Device{}, false
	}
	d := g.Device
	d.ID, d.VRAM, d.Obstacles = uuid, bytes(memory.Total), nil
	d.Detail.Parent, d.Detail.Peers, d.Detail.PowerLimit = g.ID, nil, 0
	if name, ret := handle.GetName(); ret == nvml.SUCCESS && strings.Contains(name, " MIG ") {
		d.Model = name
		_, d.Detail.Profile, _ = strings.Cut(name, " MIG ")
	} else {
		d.Model += " MIG"
	}
	for _, o := range g.Obstacles {
		if o.Code != device.Partitioned && o.Code != device.Display {
			d.Obstacles = append(d.Obstacles, o)
		}
	}
	s.handles[uuid], s.parents[uuid] = handle, g.handle
	return d, true
}
