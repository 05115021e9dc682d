//go:build cgo && linux

package nvml

import (
	"fmt"
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
	handle nvml.Device
	mig    bool
}

// gpu reads the GPU at an index; nil if it isn't there any more.
func (s *Source) gpu(index int) *gpu {
	if index >= maxDevices {
		return nil
	}
	handle, ret := s.lib.DeviceGetHandleByIndex(index)
	if ret != nvml.SUCCESS {
		return nil
	}
	uuid, ret := handle.GetUUID()
	if ret != nvml.SUCCESS {
		return nil
	}
	name, ret := handle.GetName()
	if ret != nvml.SUCCESS {
		return nil
	}
	memory, ret := handle.GetMemoryInfo()
	if ret != nvml.SUCCESS {
		return nil
	}
	g := &gpu{handle: handle, Device: device.Device{
		ID: uuid, Model: name, VRAM: bytes(memory.Total), Kind: device.Claimed, Vendor: "nvidia",
		Driver: strings.TrimSpace("nvidia " + s.driver), Bus: busOf(handle), Source: Name, Detail: s.detail(handle, index),
	}}
	s.handles[uuid] = handle
	s.watch(uuid, handle)
	g.mig = s.partitioned(handle)
	g.Obstacles = s.obstacles(uuid, handle)
	if g.mig {
		g.Obstacles = append(g.Obstacles, device.Obstacle{Code: device.Partitioned, Text: "MIG is on: its instances are leased instead (nvidia-smi mig -lgi lists them)"})
	}
	return g
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
