// Package device says what a machine has to lease out: its GPUs and other
// accelerators, its cores, memory and disk, and how fast it runs.
//
// Each way of finding devices is one Source in a file of its own, and Detect
// asks all of them. A device says how it is known: measured by souk, claimed
// by a driver, or simulated. A model's name becomes a slug by rule and not by
// table, so a GPU that comes out tomorrow needs no change here.
//
// The package never runs a job, never talks to the network and keeps no state;
// node/capacity says which device is free.
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
	// VRAM is the device's own memory in bytes.
	VRAM int64
	Kind Kind
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
