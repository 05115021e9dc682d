package device

import (
	"fmt"
	"slices"
	"strings"

	"souk/internal/quantity"
)

// Code names a reason for which a device isn't offered.
type Code string

// The codes. Lost and Faulty also end the leases that hold the device.
const (
	Lost        Code = "lost"        // its driver knows of it and doesn't reach it any more
	Faulty      Code = "faulty"      // it reports errors that only a reset ends
	OldDriver   Code = "old_driver"  // the driver is too old, or lacks what computing needs
	Partitioned Code = "partitioned" // its instances are leased instead
	NoMemory    Code = "no_memory"   // it has no memory of its own, or nobody tells how much
	Display     Code = "display"     // it shows somebody's screen
	Reserved    Code = "reserved"    // devices.reserve names it
	NoWay       Code = "no_way"      // nothing here can pass it to a job
	Taken       Code = "taken"       // another souk process offers it
	Busy        Code = "busy"        // processes that are no lease's use it
	Withheld    Code = "withheld"    // devices.reserve names something that isn't here, so this may be meant
)

// Obstacle is one reason for which a device isn't offered.
type Obstacle struct {
	Code Code   `json:"code"`
	Text string `json:"text"` // a sentence that says why, and what would help
}

func obstacle(code Code, text string, args ...any) Obstacle {
	return Obstacle{Code: code, Text: fmt.Sprintf(text, args...)}
}

// busyPercent is the utilisation from which a device counts as in use.
const busyPercent = 25

// DefaultBusyMemory is Policy.BusyMemory where none is named: more than drivers
// keep for themselves, less than any job of interest has.
const DefaultBusyMemory = 1 << 30

// Policy is what a machine's owner says about its devices.
type Policy struct {
	// Reserve names devices that are never offered: IDs, PCI addresses, slugs,
	// or numbers in the order in which they are found, from 0.
	Reserve []string
	// Display also offers devices that show a screen.
	Display bool
	// BusyMemory is how many bytes others may use on a device that is offered;
	// 0 is DefaultBusyMemory.
	BusyMemory int64
}

// reserves tells whether the owner keeps d, the n-th device, to themselves.
func (p Policy) reserves(d Device, n int) bool {
	return slices.ContainsFunc(p.Reserve, func(name string) bool { return names(name, d, n) })
}

// names tells whether a word of Reserve means d. A GPU's name also means its instances.
func names(name string, d Device, n int) bool {
	if name == "" {
		return false
	}
	return name == fmt.Sprint(n) || d.Bus != "" && strings.EqualFold(name, d.Bus) ||
		name == d.ID || name == d.Detail.Parent || slices.Contains(d.Slugs(), Slug(name))
}

// judge adds the owner's word to what the driver says. Use counts only while
// no lease of this node is on the device.
func (p Policy) judge(d Device, n int, use Use, leased bool) []Obstacle {
	found := slices.DeleteFunc(slices.Clone(d.Obstacles), func(o Obstacle) bool { return o.Code == Display && p.Display })
	if p.reserves(d, n) {
		found = append(found, obstacle(Reserved, "devices.reserve keeps it for its owner"))
	}
	if d.VRAM == 0 && !slices.ContainsFunc(found, func(o Obstacle) bool { return o.Code == NoMemory || o.Code == Lost }) {
		found = append(found, obstacle(NoMemory, "no driver says how much memory of its own it has; its maker's OpenCL driver would"))
	}
	most := p.BusyMemory
	if most == 0 {
		most = DefaultBusyMemory
	}
	switch {
	case leased || d.Kind == Simulated:
	case use.Memory > most:
		found = append(found, obstacle(Busy, "%s of its memory are in use%s, and %s may be (devices.busy_memory)",
			quantity.Human(use.Memory), use.by(), quantity.Human(most)))
	case use.Utilisation >= busyPercent:
		found = append(found, obstacle(Busy, "it computes %d %% of the time%s, and %d %% counts as busy", use.Utilisation, use.by(), busyPercent))
	}
	return found
}
