package provider

import (
	"slices"
	"strings"
	"time"

	"souk/node/device"
	"souk/node/executor"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// suited refuses what the kind of job can't make use of, or this provider
// doesn't grant it.
func (p *Provider) suited(r market.Request) error {
	switch {
	case len(r.Egress) > 0 && r.Executor == market.KindWASM:
		return wire.Refuse(wire.NoMatch, "a WASM job has no network").Near("an image, and no egress for WASM")
	case len(r.Egress) > 0 && !p.Egress:
		return wire.Refuse(wire.NoMatch, "egress to %s is wanted", strings.Join(r.Egress[:min(len(r.Egress), 3)], ", ")).Near("this provider grants jobs no network")
	case r.Executor == market.KindDocker && r.Platform != "" && p.Platform != "" && !samePlatform(r.Platform, p.Platform):
		return wire.Refuse(wire.NoMatch, "the image is for %s", r.Platform).Near("this provider runs images for %s", p.Platform)
	case r.Executor == market.KindDocker && r.Memory < market.MinImageMemory:
		return wire.Refuse(wire.BadRequest, "an image's job needs %d MiB of memory at least", market.MinImageMemory>>20)
	}
	return nil
}

// samePlatform compares system and architecture; variants run on one another
// or not, which only the machine knows.
func samePlatform(a, b string) bool {
	cut := func(s string) []string { return strings.Split(s, "/")[:min(2, strings.Count(s, "/")+1)] }
	return slices.Equal(cut(a), cut(b))
}

// usable refuses real GPUs to a job that can't use them.
func usable(r market.Request, devices []market.Device) error {
	real := func(d market.Device) bool { return d.Evidence != market.Simulated }
	if r.Executor == market.KindWASM && slices.ContainsFunc(devices, real) {
		return wire.Refuse(wire.NoMatch, "a WASM job can't use a GPU; use an image").Near("an image, or no GPU")
	}
	return nil
}

// execDevices are the leased devices as executors know them.
func execDevices(devices []device.Device) []executor.Device {
	var out []executor.Device
	for _, d := range devices {
		out = append(out, executor.Device{ID: d.ID, Vendor: d.Vendor, Simulated: d.Kind == device.Simulated})
	}
	return out
}

// body is what a receipt stands on now.
func (l *lease) body(u executor.Usage) market.Body {
	b := market.Body{LogBytes: u.Log, CPUMillis: u.CPU.Milliseconds(), PeakMemory: u.Memory}
	for _, d := range l.terms.Devices {
		b.Simulated = b.Simulated || d.Evidence == market.Simulated
	}
	var ids []string
	for _, d := range l.devices {
		if d.Kind != device.Simulated {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) > 0 && l.p.Use != nil {
		b.Devices = l.p.Use(ids)
		b.Devices = b.Devices[:min(len(b.Devices), market.MaxDeviceUses)]
		if b.Validate() != nil {
			b.Devices = nil // a driver that reports nonsense must not end the lease
		}
	}
	return b
}

// progressEvery is the shortest time between two lines of progress.
const progressEvery = time.Second

// progress takes what an executor says of how far preparing is.
func (l *lease) progress(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = clip(line)
	if now := time.Now(); now.Sub(l.saidAt) >= progressEvery {
		l.saidAt = now
		l.wakeLocked()
	}
}
