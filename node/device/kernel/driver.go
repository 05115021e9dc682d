package kernel

import (
	"context"
	"errors"

	"souk/node/device"
)

// Driver finds devices and opens them.
type Driver interface {
	device.Source
	// Open prepares the driver's device that is Same as d, which any source may have found; whoever
	// opens it closes it. A *NotFoundError is a device that the driver doesn't have.
	Open(ctx context.Context, d device.Device) (Kernel, error)
}

// Open opens the device with the first driver that has it. The error is that of
// the last driver which has it and fails, or a *NotFoundError.
func Open(ctx context.Context, d device.Device, drivers ...Driver) (Kernel, error) {
	var failed error = &NotFoundError{ID: d.ID}
	for _, driver := range drivers {
		k, err := driver.Open(ctx, d)
		if err == nil {
			return k, nil
		}
		var missing *NotFoundError
		if !errors.As(err, &missing) {
			failed = err
		}
	}
	return nil, failed
}

// Same tells whether two drivers speak of one device: by its ID, or by its place. A
// part of a partitioned GPU has no place of its own.
func Same(a, b device.Device) bool {
	whole := a.Detail.Parent == "" && b.Detail.Parent == ""
	return a.ID == b.ID || a.Bus != "" && a.Bus == b.Bus && whole
}
