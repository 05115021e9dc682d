// Package sysfs finds AMD's and Intel's GPUs, and those of other makers, by what
// the Linux kernel tells about them in /sys. It needs no library, no privilege
// and no program.
//
// The kernel tells neither every card's name nor every card's memory: names
// also come from the lists that libdrm and pciutils install, and a card that
// none of them knows is named after its PCI ID and leased all the same. Memory
// that isn't told stays 0, for another source to fill in.
//
// A device's ID is its PCI address, as node/device/opencl has it too.
//
// NVIDIA's cards are left to node/device/nvml. The package reads and never
// writes.
package sysfs

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"souk/internal/pattern"
	"souk/node/device"
)

// Name of the source.
const Name = "sysfs"

const (
	drm     = "sys/class/drm"
	nvidia  = "10de"
	display = "0x03" // the PCI class of everything that could drive a display, and of accelerators
	compute = "0x12" // of processing accelerators
)

// vendors by PCI vendor ID.
var vendors = map[string]string{"1002": "amd", "8086": "intel"}

// virtual are the vendors whose cards no computing is behind: virtio, VMware,
// QEMU twice, Microsoft.
var virtual = map[string]bool{"1af4": true, "15ad": true, "1b36": true, "1234": true, "1414": true}

// Source reads /sys of one machine.
type Source struct{ root fs.FS }

var (
	_ device.Source    = (*Source)(nil)
	_ device.Reader    = (*Source)(nil)
	_ device.Explainer = (*Source)(nil)
)

// New makes a source for a file system whose root is "/" of the machine.
func New(root fs.FS) *Source { return &Source{root} }

// Here is the source for this machine.
func Here() *Source { return New(os.DirFS("/")) }

// Name is "sysfs".
func (s *Source) Name() string { return Name }

// Devices are the graphics cards in the order of their PCI addresses.
func (s *Source) Devices(ctx context.Context) ([]device.Device, error) {
	var out []device.Device
	nodes := s.kfdNodes()
	for _, c := range s.cards() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if c.vendor != nvidia {
			out = append(out, c.device(nodes))
		}
	}
	link(out, nodes)
	return out, nil
}

// card is one entry of /sys/class/drm.
type card struct {
	s        *Source
	name     string // "card1"
	dir      string // "sys/class/drm/card1/device"
	vendor   string // PCI vendor ID: "1002"
	id       string // PCI device ID: "744c"
	revision string // "c8"
	driver   string // "amdgpu"
	bus      string // "0000:03:00.0"
}

var cardName = pattern.Lazy(`^card[0-9]+$`)

// cards are the PCI devices with a DRM driver that programs can compute or draw
// with. A server's console isn't one, nor is a virtual screen.
func (s *Source) cards() []card {
	entries, err := fs.ReadDir(s.root, drm)
	if err != nil {
		return nil
	}
	var out []card
	for _, e := range entries {
		if !cardName().MatchString(e.Name()) {
			continue
		}
		c := card{s: s, name: e.Name(), dir: drm + "/" + e.Name() + "/device"}
		c.vendor, c.id, c.revision = hex(s.line(c.dir+"/vendor")), hex(s.line(c.dir+"/device")), hex(s.line(c.dir+"/revision"))
		c.driver, c.bus = s.field(c.dir+"/uevent", "DRIVER"), strings.ToLower(s.field(c.dir+"/uevent", "PCI_SLOT_NAME"))
		class := s.line(c.dir + "/class")
		switch {
		case len(c.vendor) != 4, len(c.id) != 4, c.bus == "", virtual[c.vendor]:
			continue
		case !strings.HasPrefix(class, display) && !strings.HasPrefix(class, compute), len(c.nodes()) == 0:
			continue
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b card) int { return strings.Compare(a.bus, b.bus) })
	return out
}

// device is what is leased of a card.
func (c card) device(nodes []node) device.Device {
	d := device.Device{
		ID: "pci-" + c.bus, Model: c.model(), VRAM: c.vram(), Kind: device.Claimed, Vendor: vendors[c.vendor],
		Driver: strings.TrimSpace(c.driver + " " + c.s.line("sys/module/"+c.driver+"/version")), Bus: c.bus, Source: Name,
	}
	if d.Vendor == "" {
		d.Vendor = c.vendor
	}
	d.Detail = device.Detail{
		PCIeGen: generation(c.line("max_link_speed")), PCIeWidth: int(c.number("max_link_width")),
		PowerLimit: int(c.sensor("power1_cap") / 1_000_000), Nodes: c.nodes(),
	}
	if n := find(nodes, c); n != nil {
		d.Detail.Compute, d.Detail.Nodes = n.target(), append(d.Detail.Nodes, "/dev/kfd")
		d.VRAM = max(d.VRAM, n.vram)
	}
	d.Obstacles = c.obstacles(nodes)
	return d
}

func (c card) obstacles(nodes []node) (out []device.Obstacle) {
	if c.driver == "amdgpu" && find(nodes, c) == nil {
		out = append(out, device.Obstacle{Code: device.OldDriver, Text: "this kernel's amdgpu can't compute on it: /sys/class/kfd doesn't list it; ROCm's page of supported cards says which kernel does"})
	}
	if c.vendor == "8086" && strings.HasPrefix(c.bus, "0000:00:") {
		out = append(out, device.Obstacle{Code: device.NoMemory, Text: "it is a part of the processor and has no memory of its own"})
	}
	if n := c.uncorrected(); n > 0 {
		out = append(out, device.Obstacle{Code: device.Faulty, Text: "its memory had " + strconv.FormatInt(n, 10) + " errors that can't be corrected; start the machine anew"})
	}
	if port := c.screen(); port != "" {
		out = append(out, device.Obstacle{Code: device.Display, Text: "a screen is plugged into " + port + "; devices.display: true offers it all the same"})
	}
	return out
}

// screen is the first connector with a screen, "" without any.
func (c card) screen() string {
	entries, err := fs.ReadDir(c.s.root, drm)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		port, of := strings.CutPrefix(e.Name(), c.name+"-")
		if of && c.s.line(drm+"/"+e.Name()+"/status") == "connected" {
			return port
		}
	}
	return ""
}

// uncorrected counts the memory errors that ECC found and could not mend.
func (c card) uncorrected() int64 {
	for line := range c.s.lines(c.dir + "/ras/umc_err_count") {
		if count, ok := strings.CutPrefix(line, "ue:"); ok {
			return number(count)
		}
	}
	return 0
}

// vram is the card's own memory, of graphics inside a processor what is set
// aside for them. The kernel's i915 and xe tell it only in some versions.
func (c card) vram() int64 {
	for _, name := range []string{"device/mem_info_vram_total", "lmem_total_bytes", "prelim_lmem_total_bytes"} {
		if n := number(c.s.line(drm + "/" + c.name + "/" + name)); n > 0 {
			return n
		}
	}
	return 0
}

// nodes are the device files of those who compute and draw without a screen.
func (c card) nodes() []string {
	entries, err := fs.ReadDir(c.s.root, c.dir+"/drm")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "renderD") {
			out = append(out, "/dev/dri/"+e.Name())
		}
	}
	return out
}
