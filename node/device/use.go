package device

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Use is how a device was used at one moment, as its driver reports it. What
// the driver doesn't report is zero.
type Use struct {
	ID          string    `json:"id"`
	At          time.Time `json:"at,omitzero"` // zero: its driver reports nothing
	Utilisation int       `json:"utilisation"` // percent of the last moment in which something ran on it
	Memory      int64     `json:"memory"`      // bytes in use
	Celsius     int       `json:"celsius"`
	Watts       int       `json:"watts"`
	Processes   []Process `json:"processes,omitempty"`
}

// Process is one that uses a device.
type Process struct {
	PID    int   `json:"pid"`
	Memory int64 `json:"memory"` // bytes on the device; 0 if unknown
}

// Reader is a source that also reads how its devices are used. It is called
// with devices that the source's last Devices returned, and MUST NOT block for
// longer than the driver does.
type Reader interface {
	Use(ctx context.Context, d Device) (Use, error)
}

// maxNamed is how many processes one sentence names.
const maxNamed = 3

// by names who uses the device, the largest first: " by process 4242".
func (u Use) by() string {
	if len(u.Processes) == 0 {
		return ""
	}
	largest := slices.Clone(u.Processes)
	slices.SortStableFunc(largest, func(a, b Process) int { return int(min(max(b.Memory-a.Memory, -1), 1)) })
	var pids []string
	for _, p := range largest[:min(len(largest), maxNamed)] {
		pids = append(pids, fmt.Sprint(p.PID))
	}
	text := " by process " + strings.Join(pids, ", ")
	if more := len(largest) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// without is the use by others than a process: souk measures devices itself.
func (u Use) without(pid int) Use {
	others := slices.DeleteFunc(slices.Clone(u.Processes), func(p Process) bool { return p.PID == pid })
	if len(others) == len(u.Processes) {
		return u
	}
	for _, p := range u.Processes {
		if p.PID == pid {
			u.Memory = max(0, u.Memory-p.Memory)
		}
	}
	if len(others) == 0 {
		u.Utilisation = 0
	}
	u.Processes = others
	return u
}
