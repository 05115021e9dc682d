package sysfs

import (
	"context"

	"souk/node/device"
)

// teller is another source, which lists one device.
type teller struct{ d device.Device }

func (t teller) Name() string { return "opencl" }

func (t teller) Devices(context.Context) ([]device.Device, error) {
	return []device.Device{t.d}, nil
}
