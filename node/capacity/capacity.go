// Package capacity keeps the account of what a provider has free: devices,
// cores, memory, disk and slots.
//
// It promises that a reservation is all or nothing, that no device is ever in
// two reservations (or, where its owner shares it, in more than there are
// shares), that a device which was removed is in no new one, that the amounts
// reserved never exceed the total, and that everything comes back with Release
// or when an uncommitted reservation expires. It knows no network, no peer, no
// price and no job, starts no goroutine, writes nothing to disk, and reads time
// only from the clock it is given.
package capacity

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"souk/node/device"
)

// Total is all that a provider leases out.
type Total struct {
	Devices []device.Device
	CPU     int   // whole cores
	Memory  int64 // bytes
	Disk    int64 // bytes
	Slots   int   // executions at one time
	// Shares is how many leases may be on one device at a time; 0 is 1, which
	// makes every lease exclusive.
	Shares int
}

// Need is what one lease needs; each one also takes a slot.
type Need struct {
	Devices device.Need
	// Exclusive takes the devices whole, also where others may be shared.
	Exclusive bool
	CPU       int   // whole cores
	Memory    int64 // bytes
	Disk      int64 // bytes
}

// Holding is what one reservation holds. It is plain data, to be written down
// and handed to Restore after a restart.
type Holding struct {
	DeviceIDs []string
	// Shared is a share of each device; else the lease has them whole.
	Shared bool `json:",omitempty"`
	CPU    int
	Memory int64
	Disk   int64
}

// The errors beside *Shortage. The first three are the caller's mistake.
var (
	ErrDuplicate = errors.New("this reservation exists already; release it first")
	ErrReleased  = errors.New("this reservation was released; reserve again")
	ErrInvalid   = errors.New("a need and its id can't be negative or empty")
	// ErrExpired is the price of waiting: what was held may be another's by now.
	ErrExpired = errors.New("this reservation expired before it was committed; reserve again")
	// ErrRemoved is a device that vanished between a quote and its accept.
	ErrRemoved = errors.New("a device of this reservation was taken out; reserve again")
)

// Capacity is safe for concurrent use; no call blocks on another for long.
type Capacity struct {
	total Total
	now   func() time.Time

	mu      sync.Mutex
	used    Holding
	taken   map[string]int          // shares, by device ID
	removed map[string]bool         // by device ID
	held    map[string]*Reservation // by ID, neither released nor expired
}

// New refuses a total with negative amounts or with two devices of one ID.
// Now is the clock that expiry is judged by: time.Now outside tests.
func New(total Total, now func() time.Time) (*Capacity, error) {
	if total.CPU < 0 || total.Memory < 0 || total.Disk < 0 || total.Slots < 0 || total.Shares < 0 {
		return nil, fmt.Errorf("what a machine has can't be negative: %d cores, %d bytes of memory, %d of disk, %d slots, %d shares of a device",
			total.CPU, total.Memory, total.Disk, total.Slots, total.Shares)
	}
	seen := map[string]bool{}
	for _, d := range total.Devices {
		if d.ID == "" || seen[d.ID] {
			return nil, fmt.Errorf("each device has an ID of its own, and %q of %s is none", d.ID, d.Model)
		}
		seen[d.ID] = true
	}
	total.Devices = append([]device.Device(nil), total.Devices...)
	return &Capacity{total: total, now: now, taken: map[string]int{}, removed: map[string]bool{}, held: map[string]*Reservation{}}, nil
}

// Reserve holds all of need under id until then, or nothing. A zero until holds
// it until Release. It returns ErrDuplicate while id holds something, ErrInvalid,
// or a *Shortage that names each miss.
func (c *Capacity) Reserve(id string, need Need, until time.Time) (*Reservation, error) {
	if id == "" || need.CPU < 0 || need.Memory < 0 || need.Disk < 0 || need.Devices.Count < 0 {
		return nil, ErrInvalid
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	if c.held[id] != nil {
		return nil, ErrDuplicate
	}
	holding := Holding{CPU: need.CPU, Memory: need.Memory, Disk: need.Disk}
	holding.Shared = c.shares() > 1 && !need.Exclusive && need.Devices.Count > 0
	devices, misses := c.choose(need.Devices, c.weight(holding))
	misses = append(misses, c.misses(holding)...)
	if len(misses) > 0 {
		return nil, &Shortage{Misses: misses}
	}
	for _, d := range devices {
		holding.DeviceIDs = append(holding.DeviceIDs, d.ID)
	}
	return c.take(id, holding, devices, until), nil
}

// Restore holds again, committed, what a former process of this node held, also
// on a device that is removed at the moment. It returns ErrDuplicate,
// ErrInvalid, or a *Shortage if the machine has less than it had, such as a
// device that it doesn't know; nothing is then held.
func (c *Capacity) Restore(id string, holding Holding) (*Reservation, error) {
	if id == "" || holding.CPU < 0 || holding.Memory < 0 || holding.Disk < 0 {
		return nil, ErrInvalid
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	if c.held[id] != nil {
		return nil, ErrDuplicate
	}
	devices, misses := c.named(holding.DeviceIDs, c.weight(holding))
	misses = append(misses, c.misses(holding)...)
	if len(misses) > 0 {
		return nil, &Shortage{Misses: misses}
	}
	return c.take(id, holding, devices, time.Time{}), nil
}

// Free is what could be reserved now; of a shared device a share is enough. The
// devices are a copy, in the order of the total.
func (c *Capacity) Free() Total {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	return Total{
		Devices: c.freeDevices(),
		CPU:     c.total.CPU - c.used.CPU,
		Memory:  c.total.Memory - c.used.Memory,
		Disk:    c.total.Disk - c.used.Disk,
		Slots:   c.total.Slots - len(c.held),
		Shares:  c.total.Shares,
	}
}

func (c *Capacity) freeDevices() []device.Device {
	var free []device.Device
	for _, d := range c.total.Devices {
		if c.room(d.ID, 1) {
			free = append(free, d)
		}
	}
	return free
}

// take and give are the only places that change the account; both hold c.mu.
func (c *Capacity) take(id string, holding Holding, devices []device.Device, until time.Time) *Reservation {
	holding.DeviceIDs = append([]string(nil), holding.DeviceIDs...)
	r := &Reservation{capacity: c, id: id, holding: holding, devices: devices, until: until}
	c.held[id] = r
	c.used.CPU += holding.CPU
	c.used.Memory += holding.Memory
	c.used.Disk += holding.Disk
	for _, d := range devices {
		c.taken[d.ID] += c.weight(holding)
	}
	return r
}

func (c *Capacity) give(r *Reservation, why error) {
	if r.ended != nil {
		return
	}
	r.ended = why
	delete(c.held, r.id)
	c.used.CPU -= r.holding.CPU
	c.used.Memory -= r.holding.Memory
	c.used.Disk -= r.holding.Disk
	for _, d := range r.devices {
		if c.taken[d.ID] -= c.weight(r.holding); c.taken[d.ID] == 0 {
			delete(c.taken, d.ID)
		}
	}
}

// expire gives back what was held too long. It is called first under every
// lock, so that no caller sees a reservation beyond its time.
func (c *Capacity) expire() {
	now := c.now()
	for _, r := range c.held {
		if !r.until.IsZero() && !now.Before(r.until) {
			c.give(r, ErrExpired)
		}
	}
}
