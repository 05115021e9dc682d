// Package device says what a machine has to lease out: its GPUs and other
// accelerators, its cores, memory and disk, and how fast it runs.
//
// Each way of finding devices is one Source (in node/device/nvml, sysfs and
// opencl), and an Inventory asks all of them, again and again: what is here,
// how it is used, what speaks against offering it, and what has gone. A device
// says how it is known: measured by souk, claimed by a driver, or simulated. A
// model's name becomes a slug by rule and not by table, so a GPU that comes out
// tomorrow needs no change here.
//
// It promises that of the processes of one machine only one offers a device,
// and that a device which its owner reserved keeps being theirs. It never runs
// a job and never talks to the network; node/capacity says which device is free.
package device

import (
	"cmp"
	"slices"
)

// Kind says how a device is known.
type Kind string

// The kinds. A simulated device only exercises the market; nothing runs on it.
const (
	Measured  Kind = "measured"
	Claimed   Kind = "claimed"
	Simulated Kind = "simulated"
)

// Device is one accelerator.
type Device struct {
	// ID tells the device from every other one of this machine and stays the
	// same over restarts: the driver's UUID, or "simulated-rtx-4090-0".
	ID string
	// Model is the name that the driver reports: "NVIDIA GeForce RTX 4090".
	Model string
	// Slug is Slug(Model): "rtx-4090".
	Slug string
	// VRAM is the device's own memory in bytes; 0 where no driver tells it.
	VRAM int64
	Kind Kind
	// Vendor is "nvidia", "amd", "intel" or a PCI vendor's ID such as "1ed5";
	// "" of a simulated one.
	Vendor string
	// Driver is the driver's name and version: "nvidia 550.54.15".
	Driver string
	// Bus is the PCI address, in the form "0000:41:00.0"; "" without one. The
	// instances of a partitioned GPU share it.
	Bus string
	// Source is the name of the source that found it.
	Source string
	Detail Detail
	// Obstacles are what the driver knows to speak against leasing it out.
	Obstacles []Obstacle
}

// Detail is what a driver tells besides; what it doesn't tell is zero.
type Detail struct {
	Compute    string   // what it can run: CUDA's compute capability "8.0", or "gfx1100"
	CUDA       string   // the newest CUDA that the driver runs: "12.4"
	PCIeGen    int      // generation and lanes that card and slot can do
	PCIeWidth  int      // lanes
	PowerLimit int      // watts
	ECC        string   // "on" or "off"
	Parent     string   // of an instance: the ID of the GPU that it is a part of
	Profile    string   // of an instance: "1g.10gb"
	Peers      []string // IDs of GPUs with a link of their own to it: NVLink, XGMI
	Nodes      []string // device files that whoever runs on it opens: "/dev/kfd"
}

// Slugs are the names that the device is advertised under: its slug and, where
// that ends in a memory size, the slug without it. So who looks for any A100
// finds the "a100-40gb".
func (d Device) Slugs() []string { return withoutSize(d.Slug) }

// Group is a number of like devices.
type Group struct {
	Model string
	Slug  string
	VRAM  int64 // bytes of each one
	Kind  Kind
	Count int
}

// Groups counts like devices, those with the most memory first.
func Groups(devices []Device) []Group {
	counts := map[Group]int{}
	for _, d := range devices {
		counts[d.group()]++
	}
	groups := make([]Group, 0, len(counts))
	for g, n := range counts {
		g.Count = n
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.VRAM, a.VRAM), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Kind, b.Kind))
	})
	return groups
}

func (d Device) group() Group {
	return Group{Model: d.Model, Slug: d.Slug, VRAM: d.VRAM, Kind: d.Kind}
}

// Like says whether two devices stand in one group.
func (d Device) Like(other Device) bool { return d.group() == other.group() }
