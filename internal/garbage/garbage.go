// Package garbage lets a process gather more garbage while it works than while
// it rests. Collecting costs processor time, which work needs, and saves memory,
// which a process that does nothing should leave to others.
package garbage

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	look = time.Second
	// busyBytes are allocated in one look of a process that works: more than
	// connections and housekeeping of one at rest allocate.
	busyBytes = 4 << 20
	calmLooks = 3 // that a process at work may pause

	busyPercent = 400      // of garbage on what is used, at work at most
	room        = 64 << 20 // bytes of garbage that working is allowed, however much is used
)

// Pace has the process collect by what it does, until it ends: it counts as
// working at first. GOGC=off stays off.
func Pace() {
	usual := debug.SetGCPercent(busyPercent)
	if usual < 0 {
		debug.SetGCPercent(usual)
		return
	}
	p := &pacer{
		usual: usual, percent: busyPercent,
		set: func(percent int) { debug.SetGCPercent(percent) }, free: debug.FreeOSMemory,
	}
	go func() { // ends with the process
		for range time.Tick(look) {
			p.look(heap())
		}
	}()
}

// heap tells how many bytes were ever allocated, and how many were used when
// garbage was last collected.
func heap() (allocated, used uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64()
}

type pacer struct {
	usual   int // percent of a process at rest
	percent int // that was set last
	set     func(percent int)
	free    func() // gives what isn't used back to the system

	allocated uint64
	calm      int // looks in a row without work
}

// look sets the pace by what was allocated since the look before.
func (p *pacer) look(allocated, used uint64) {
	worked := allocated-p.allocated >= busyBytes
	p.allocated = allocated
	if worked {
		p.calm = 0
		p.change(p.working(used))
		return
	}
	if p.calm++; p.calm == calmLooks {
		p.change(p.usual)
		p.free()
	}
}

// working is how much garbage there may be, in percent of what is used.
func (p *pacer) working(used uint64) int {
	percent := min(room*100/max(used, 1), busyPercent)
	return max(p.usual, int(percent)) //nolint:gosec // at most busyPercent
}

func (p *pacer) change(percent int) {
	if percent != p.percent {
		p.percent = percent
		p.set(percent)
	}
}
