package capacity

import (
	"slices"
	"time"

	"souk/node/device"
)

// Reservation is a hold on part of a Capacity. It is safe for concurrent use.
type Reservation struct {
	capacity *Capacity
	id       string
	holding  Holding
	devices  []device.Device

	// Guarded by capacity.mu.
	until time.Time // zero once committed
	ended error     // why it holds nothing any more, nil while it does
}

// ID is the name that it was reserved under.
func (r *Reservation) ID() string { return r.id }

// Devices are the devices held, a copy.
func (r *Reservation) Devices() []device.Device { return slices.Clone(r.devices) }

// Holding is what Restore needs to hold the same again.
func (r *Reservation) Holding() Holding {
	holding := r.holding
	holding.DeviceIDs = slices.Clone(holding.DeviceIDs)
	return holding
}

// Commit lifts the expiry: from now on only Release ends the reservation. A
// second Commit changes nothing. It returns ErrExpired if it came too late,
// ErrReleased after Release, and ErrRemoved, with the reservation released, if
// one of its devices was taken out meanwhile.
func (r *Reservation) Commit() error {
	r.capacity.mu.Lock()
	defer r.capacity.mu.Unlock()
	r.capacity.expire()
	if r.ended != nil {
		return r.ended
	}
	if !r.until.IsZero() && slices.ContainsFunc(r.devices, func(d device.Device) bool { return r.capacity.removed[d.ID] }) {
		r.capacity.give(r, ErrRemoved)
		return r.ended
	}
	r.until = time.Time{}
	return nil
}

// Release gives everything back, whatever the state; only the first call counts.
func (r *Reservation) Release() {
	r.capacity.mu.Lock()
	defer r.capacity.mu.Unlock()
	r.capacity.give(r, ErrReleased)
}
