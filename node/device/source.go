package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Source is one way to find devices: a driver's library, a tool, a user's word.
type Source interface {
	// Name is one word for messages: "nvml", "simulated".
	Name() string
	// Devices returns every device that the source sees, in an order that
	// stays the same from call to call. A machine without the source's
	// driver has no devices, which is no error. It MUST return soon after
	// ctx ends; it MAY leave Slug and Source empty.
	Devices(ctx context.Context) ([]Device, error)
}

// Explainer is a source that can say, where it found nothing, what it looked
// for and what would make it find something: a sentence each.
type Explainer interface {
	Explain() []string
}

// ErrDriverChanged is a source's error when the driver in the kernel and its
// library are no longer of one version: nothing new can run on its devices
// until the machine, or the driver's module, is started anew.
var ErrDriverChanged = errors.New("the driver in the kernel and its library are of different versions")

// SourceError is a source that failed, and which.
type SourceError struct {
	Source string
	Err    error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("looking for devices with %s: %v", e.Source, e.Err)
}

func (e *SourceError) Unwrap() error { return e.Err }

// Detect asks the sources in turn. What one ID, or one PCI address in two
// sources, names twice is one device, as the first source reports it; a later
// one only adds what the first doesn't know. The devices are valid beside an
// error too: that a source failed doesn't hide what the others found. Each
// source that failed is a *SourceError in the error.
func Detect(ctx context.Context, sources ...Source) ([]Device, error) {
	var found []Device
	var failed []error
	for _, source := range sources {
		devices, err := source.Devices(ctx)
		if err != nil {
			failed = append(failed, &SourceError{source.Name(), err})
			continue
		}
		before := len(found)
		for _, d := range devices {
			d.complete(source.Name())
			if err := d.check(); err != nil {
				failed = append(failed, fmt.Errorf("%s reports an unusable device: %w", source.Name(), err))
				continue
			}
			if at := known(found, before, d); at >= 0 {
				found[at].learn(d)
				continue
			}
			found = append(found, d)
		}
	}
	return found, errors.Join(failed...)
}

// complete fills in what a source left to be derived.
func (d *Device) complete(source string) {
	d.Slug, d.Source = cmp.Or(d.Slug, Slug(d.Model)), cmp.Or(d.Source, source)
	if d.Bus == "" && strings.HasPrefix(d.ID, busPrefix) {
		d.Bus = d.ID[len(busPrefix):]
	}
	d.Bus = strings.ToLower(d.Bus)
}

// busPrefix begins the ID of a device without a name of its own: its PCI address follows.
const busPrefix = "pci-"

// known finds d among what was found, of which so many are from other sources.
func known(found []Device, others int, d Device) int {
	return slices.IndexFunc(found, func(f Device) bool {
		if f.ID == d.ID {
			return true
		}
		return d.Bus != "" && f.Bus == d.Bus && slices.ContainsFunc(found[:others], func(o Device) bool { return o.ID == f.ID })
	})
}

// learn takes from another source's view of the same device what was unknown.
func (d *Device) learn(from Device) {
	if d.Source == from.Source {
		return
	}
	if !slices.ContainsFunc(d.Obstacles, func(o Obstacle) bool { return o.Code == NoMemory }) {
		d.VRAM = cmp.Or(d.VRAM, from.VRAM) // else what the other one tells is the machine's memory
	}
	d.Detail.Compute = cmp.Or(d.Detail.Compute, from.Detail.Compute)
}

func (d Device) check() error {
	switch {
	case d.ID == "":
		return errors.New("it has no ID")
	case d.Slug == "":
		return fmt.Errorf("model %q has no letter or digit", d.Model)
	case d.VRAM < 0:
		return fmt.Errorf("%s has %d bytes of memory", d.ID, d.VRAM)
	case d.Kind != Measured && d.Kind != Claimed && d.Kind != Simulated:
		return fmt.Errorf("%s is of unknown kind %q", d.ID, d.Kind)
	}
	return nil
}
