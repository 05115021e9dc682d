package provider

import (
	"fmt"
	"slices"

	"souk/node/device"
	"souk/protocol/market"
)

// lostError is a lease's device that nothing can run on any more.
type lostError struct {
	device device.Device
	why    string // a sentence
}

func (e *lostError) Error() string {
	return fmt.Sprintf("a leased device is gone, %s (%s): %s", e.device.Model, e.device.ID, e.why)
}

// DeviceLost ends the leases that hold a device as provider_failed, and tells
// the provider's owner. Why is a sentence for both sides. The device must be
// removed from the capacity before, so that nobody leases it anew.
func (p *Provider) DeviceLost(d device.Device, why string) {
	p.mu.Lock()
	var holders []*lease
	for _, l := range p.leases {
		if l.holds(d.ID) && l.running() {
			holders = append(holders, l)
		}
	}
	p.mu.Unlock()
	lost := &lostError{device: d, why: why}
	for _, l := range holders {
		l.lose(lost)
	}
	p.DevicesChanged()
	p.Log.Warn("device lost", "device", d.ID, "model", d.Model, "why", why, "leases", len(holders))
	p.Notify(Event{At: p.Now(), Kind: Trouble, Text: fmt.Sprintf("%s (%s) is gone: %s; leases that it ends: %d", d.Model, d.ID, why, len(holders))})
}

// DeviceOut tells the provider's owner that a device isn't offered for now, and
// why. The leases on it go on.
func (p *Provider) DeviceOut(d device.Device, why string) {
	p.Log.Info("device not offered", "device", d.ID, "model", d.Model, "why", why)
	p.Notify(Event{At: p.Now(), Kind: Trouble, Text: fmt.Sprintf("%s (%s) isn't offered now: %s", d.Model, d.ID, why)})
}

// DeviceBack tells the provider's owner that a device is offered, again or for
// the first time.
func (p *Provider) DeviceBack(d device.Device) {
	p.Log.Info("device offered", "device", d.ID, "model", d.Model)
	p.Notify(Event{At: p.Now(), Kind: Trouble, Text: fmt.Sprintf("%s (%s) is offered now", d.Model, d.ID)})
}

// DevicesChanged makes a new offer: what can be leased was changed from outside.
func (p *Provider) DevicesChanged() { p.freeChanged() }

func (l *lease) holds(id string) bool {
	return slices.ContainsFunc(l.devices, func(d device.Device) bool { return d.ID == id })
}

// lose tells the supervisor of a lease that a device of it is gone.
func (l *lease) lose(lost *lostError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = lost
		l.wakeLocked()
	}
}

// deviceLost is nil as long as all devices of the lease are there.
func (l *lease) deviceLost() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		return nil
	}
	return l.lost
}

// faultBehind says whether a job that failed did so on a device that failed: a
// GPU that falls off the bus takes its process with it before anybody looks.
func (l *lease) faultBehind(outcome market.Outcome) error {
	if outcome != market.JobFailed || len(l.devices) == 0 {
		return nil
	}
	if lost := l.deviceLost(); lost != nil || l.p.Fault == nil {
		return lost
	}
	var ids []string
	for _, d := range l.devices {
		ids = append(ids, d.ID)
	}
	if why := l.p.Fault(ids); why != "" {
		return fmt.Errorf("a leased device failed under the job: %s", why)
	}
	return nil
}
