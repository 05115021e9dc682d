package sysfs

import (
	"context"

	"souk/node/device"
)

// teller is another source, which lists what it is told.
type teller []device.Device

func (t teller) Name() string { return "opencl" }

func (t teller) Devices(context.Context) ([]device.Device, error) {
	return t, nil
}
