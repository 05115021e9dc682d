package capacity

import (
	"fmt"
	"slices"
	"strings"

	"souk/internal/quantity"
)

// Dimension is one of the things that can be short.
type Dimension string

// The dimensions.
const (
	Devices Dimension = "devices"
	CPU     Dimension = "cpu"
	Memory  Dimension = "memory"
	Disk    Dimension = "disk"
	Slots   Dimension = "slots"
)

// Miss says how far one dimension is from the need.
type Miss struct {
	Dimension Dimension
	Need      int64  // cores, bytes, or a count
	Free      int64  // now
	Total     int64  // when nothing is leased
	Device    string // which devices: a need such as "a100:2", or an ID; only for Devices
}

// Shortage is the refusal of a need: every dimension that is short, devices first.
type Shortage struct{ Misses []Miss }

func (s *Shortage) Error() string {
	parts := make([]string, len(s.Misses))
	for i, m := range s.Misses {
		parts[i] = m.String()
	}
	return strings.Join(parts, "; ")
}

// Never says that waiting doesn't help: the need exceeds even the total. The
// caller should choose another provider rather than retry later.
func (s *Shortage) Never() bool {
	return slices.ContainsFunc(s.Misses, func(m Miss) bool { return m.Need > m.Total })
}

func (m Miss) String() string {
	write := func(n int64) string { return fmt.Sprint(n) }
	name := map[Dimension]string{CPU: "cores", Memory: "memory", Disk: "disk", Slots: "slots for executions"}[m.Dimension]
	switch m.Dimension {
	case Devices:
		name = "devices (" + m.Device + ")"
	case Memory, Disk:
		write = quantity.Human
		if write(m.Need) == write(m.Free) {
			write = quantity.Format // a miss too small for one decimal
		}
	}
	return fmt.Sprintf("%s: %s needed, %s free of %s", name, write(m.Need), write(m.Free), write(m.Total))
}

// misses compares amounts by subtraction, which can't overflow.
func (c *Capacity) misses(h Holding) []Miss {
	rows := []Miss{
		{Dimension: CPU, Need: int64(h.CPU), Free: int64(c.total.CPU - c.used.CPU), Total: int64(c.total.CPU)},
		{Dimension: Memory, Need: h.Memory, Free: c.total.Memory - c.used.Memory, Total: c.total.Memory},
		{Dimension: Disk, Need: h.Disk, Free: c.total.Disk - c.used.Disk, Total: c.total.Disk},
		{Dimension: Slots, Need: 1, Free: int64(c.total.Slots - len(c.held)), Total: int64(c.total.Slots)},
	}
	return slices.DeleteFunc(rows, func(m Miss) bool { return m.Need <= m.Free })
}
