//go:build cgo && linux

package nvml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"souk/node/device"
)

// maxDevices bounds what a library could make this process read.
const maxDevices = 64

// gpu is a whole GPU.
type gpu struct {
	device.Device
	handle nvml.Device // nil of a lost one
	mig    bool
}

// gpu reads the GPU at an index; nil if it isn't there any more.
func (s *Source) gpu(index int) *gpu {
	if index >= maxDevices {
		return nil
	}
	g, ret := s.ask(index)
	switch ret {
	case nvml.SUCCESS:
	case nvml.ERROR_GPU_IS_LOST:
		return s.lost(index)
	default:
		return nil
	}
	s.places[index] = g.Device
	s.handles[g.ID] = g.handle
	s.watch(g.ID, g.handle)
	g.mig = s.partitioned(g.handle)
	g.Obstacles = s.obstacles(g.ID, g.handle)
	if g.mig {
		g.Obstacles = append(g.Obstacles, device.Obstacle{Code: device.Partitioned, Text: "MIG is on: its instances are leased instead (nvidia-smi mig -lgi lists them)"})
	}
	return g
}

// ask reads what a GPU is.
func (s *Source) ask(index int) (*gpu, nvml.Return) {
	handle, ret := s.lib.DeviceGetHandleByIndex(index)
	if ret != nvml.SUCCESS {
		return nil, ret
	}
	uuid, ret := handle.GetUUID()
	if ret != nvml.SUCCESS {
		return nil, ret
	}
	name, ret := handle.GetName()
	if ret != nvml.SUCCESS {
		return nil, ret
	}
	memory, ret := handle.GetMemoryInfo()
	return &gpu{handle: handle, Device: device.Device{
		ID: uuid, Model: name, VRAM: bytes(memory.Total), Kind: device.Claimed, Vendor: "nvidia",
		Driver: s.version(), Bus: busOf(handle), Source: Name, Detail: s.detail(handle, index),
	}}, ret
}

func (s *Source) version() string { return strings.TrimSpace("nvidia " + s.driver) }

// lost is a GPU that the driver counts and doesn't reach: as an earlier look
// found it, or else under a name that keeps its place, which devices.reserve may say.
func (s *Source) lost(index int) *gpu {
	d, known := s.places[index]
	if !known {
		d = device.Device{ID: fmt.Sprintf("nvidia-%d", index), Model: "NVIDIA GPU (lost)", Kind: device.Claimed, Vendor: "nvidia", Driver: s.version(), Source: Name}
	}
	d.Obstacles = []device.Obstacle{{Code: device.Lost, Text: "NVIDIA's driver has lost it: it fell off the bus; start the machine anew"}}
	if text := s.faults[d.ID]; text != "" {
		d.Obstacles = append(d.Obstacles, device.Obstacle{Code: device.Faulty, Text: text})
	}
	return &gpu{Device: d}
}

func (s *Source) detail(handle nvml.Device, index int) device.Detail {
	d := device.Detail{CUDA: s.cuda}
	if major, minor, ret := handle.GetCudaComputeCapability(); ret == nvml.SUCCESS {
		d.Compute = fmt.Sprintf("%d.%d", major, minor)
	}
	if gen, ret := handle.GetMaxPcieLinkGeneration(); ret == nvml.SUCCESS {
		d.PCIeGen = gen
	}
	if width, ret := handle.GetMaxPcieLinkWidth(); ret == nvml.SUCCESS {
		d.PCIeWidth = width
	}
	if milliwatts, ret := handle.GetEnforcedPowerLimit(); ret == nvml.SUCCESS {
		d.PowerLimit = int(milliwatts / 1000)
	}
	if current, _, ret := handle.GetEccMode(); ret == nvml.SUCCESS {
		d.ECC = "off"
		if current == nvml.FEATURE_ENABLED {
			d.ECC = "on"
		}
	}
	if minor, ret := handle.GetMinorNumber(); ret == nvml.SUCCESS {
		index = minor
	}
	d.Nodes = []string{"/dev/nvidiactl", "/dev/nvidia-uvm", fmt.Sprintf("/dev/nvidia%d", index)}
	return d
}

// obstacles are those that only the library knows.
func (s *Source) obstacles(uuid string, handle nvml.Device) (out []device.Obstacle) {
	if major, _, _ := strings.Cut(s.driver, "."); major != "" {
		if n, err := strconv.Atoi(major); err == nil && n < minDriver {
			out = append(out, device.Obstacle{Code: device.OldDriver, Text: fmt.Sprintf("the driver is %s; install %d or newer", s.driver, minDriver)})
		}
	}
	if text := s.fault(uuid, handle); text != "" {
		out = append(out, device.Obstacle{Code: device.Faulty, Text: text})
	}
	shown, ret := handle.GetDisplayActive()
	active := ret == nvml.SUCCESS && shown == nvml.FEATURE_ENABLED
	attached, ret := handle.GetDisplayMode()
	if active || ret == nvml.SUCCESS && attached == nvml.FEATURE_ENABLED {
		out = append(out, device.Obstacle{Code: device.Display, Text: "it shows somebody's screen; devices.display: true offers it all the same"})
	}
	return out
}

// link finds which GPUs reach each other by NVLink: with links from one to the
// other, or each with links to the switches between all of them.
func (s *Source) link(gpus []*gpu) {
	if !s.has("nvmlDeviceGetNvLinkState") || !s.has("nvmlDeviceGetNvLinkRemotePciInfo_v2") {
		return
	}
	at := map[string]*gpu{}
	gpus = slices.DeleteFunc(slices.Clone(gpus), func(g *gpu) bool { return g.handle == nil })
	for _, g := range gpus {
		at[g.Bus] = g
	}
	ends := map[*gpu]map[*gpu]bool{} // nil is a switch
	for _, g := range gpus {
		ends[g] = map[*gpu]bool{}
		for i := range nvml.NVLINK_MAX_LINKS {
			if state, ret := g.handle.GetNvLinkState(i); ret != nvml.SUCCESS || state != nvml.FEATURE_ENABLED {
				continue
			}
			if remote, ret := g.handle.GetNvLinkRemotePciInfo(i); ret == nvml.SUCCESS {
				ends[g][at[address(remote)]] = true
			}
		}
	}
	for _, g := range gpus {
		for _, other := range gpus {
			if g != other && (ends[g][other] || ends[g][nil] && ends[other][nil]) {
				g.Detail.Peers = append(g.Detail.Peers, other.ID)
			}
		}
	}
}

func busOf(handle nvml.Device) string {
	info, ret := handle.GetPciInfo()
	if ret != nvml.SUCCESS {
		return ""
	}
	return address(info)
}

func address(p nvml.PciInfo) string {
	return fmt.Sprintf("%04x:%02x:%02x.0", p.Domain, p.Bus, p.Device)
}

// bytes reads an amount of memory; what isn't known is all ones.
func bytes(n uint64) int64 {
	if n > 1<<62 {
		return 0
	}
	return int64(n) //nolint:gosec // checked
}
