package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Source is one way to find devices: a driver's library, a tool, a user's word.
type Source interface {
	// Name is one word for messages: "nvml", "simulated".
	Name() string
	// Devices returns every device that the source sees, in an order that
	// stays the same from call to call. A machine without the source's
	// driver has no devices, which is no error. It MUST return soon after
	// ctx ends; it MAY leave Slug empty.
	Devices(ctx context.Context) ([]Device, error)
}

// Detect asks the sources in turn. What one device's ID names twice is one
// device, as the first source reports it. The devices are valid beside an
// error too: that a source failed doesn't hide what the others found.
func Detect(ctx context.Context, sources ...Source) ([]Device, error) {
	var found []Device
	var failed []error
	seen := map[string]bool{}
	for _, source := range sources {
		devices, err := source.Devices(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("looking for devices with %s: %w", source.Name(), err))
			continue
		}
		for _, d := range devices {
			if seen[d.ID] {
				continue
			}
			d.Slug = cmp.Or(d.Slug, Slug(d.Model))
			if err := d.check(); err != nil {
				failed = append(failed, fmt.Errorf("%s reports an unusable device: %w", source.Name(), err))
				continue
			}
			seen[d.ID] = true
			found = append(found, d)
		}
	}
	return found, errors.Join(failed...)
}

func (d Device) check() error {
	switch {
	case d.ID == "":
		return errors.New("it has no ID")
	case d.Slug == "":
		return fmt.Errorf("model %q has no letter or digit", d.Model)
	case d.VRAM <= 0:
		return fmt.Errorf("%s has %d bytes of memory", d.ID, d.VRAM)
	case d.Kind != Measured && d.Kind != Claimed && d.Kind != Simulated:
		return fmt.Errorf("%s is of unknown kind %q", d.ID, d.Kind)
	}
	return nil
}
