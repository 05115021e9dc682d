package kernel

import (
	"context"
	"errors"

	"souk/node/device"
)

// Driver finds devices and opens them.
type Driver interface {
	device.Source
	// Open prepares the device that Devices lists as id; whoever opens it closes it.
	// A *NotFoundError is a device that the driver doesn't have.
	Open(ctx context.Context, id string) (Kernel, error)
}

// Open opens the device with the first driver that has it. The error is that of
// the last driver which has it and fails, or a *NotFoundError.
func Open(ctx context.Context, id string, drivers ...Driver) (Kernel, error) {
	var failed error = &NotFoundError{Driver: "this machine", ID: id}
	for _, driver := range drivers {
		k, err := driver.Open(ctx, id)
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
