// Package opencl finds devices by OpenCL and computes challenges on them.
//
// The OpenCL loader is opened at run time, so souk neither links to it nor
// needs it: where there is none, there are no devices, which is no error. It is the fallback for
// devices whose maker's own way isn't known to souk. Devices that are CPUs (PoCL, say) are
// left out unless they are asked for, because a CPU is leased as a CPU.
//
// It promises to give back every handle that it was given, and to compute
// what internal/modmath says, bit for bit. Drivers run in this process: one that
// crashes takes the process with it, and a call that hangs can't be ended.
package opencl

import (
	"context"
	"fmt"

	"souk/node/device"
	"souk/node/device/kernel"
)

// Source finds the devices of all OpenCL platforms. It implements kernel.Driver.
type Source struct {
	// CPU says to list devices of the CPU type, too.
	CPU bool
}

// Name is "opencl".
func (s Source) Name() string { return "opencl" }

// Devices returns every GPU and accelerator, as their drivers claim them to be. A device that
// two platforms have is listed once.
func (s Source) Devices(ctx context.Context) ([]device.Device, error) {
	return await(ctx, func() ([]device.Device, error) {
		lib, err := load()
		if err != nil || lib == nil {
			return nil, err
		}
		found, err := lib.list(s.CPU)
		if err != nil {
			return nil, err
		}
		devices := make([]device.Device, len(found))
		for i, f := range found {
			devices[i] = f.Device
		}
		return devices, nil
	})
}

// Open prepares the device that is d. A *kernel.NotFoundError is one that isn't there.
func (s Source) Open(ctx context.Context, d device.Device) (kernel.Kernel, error) {
	k, err := await(ctx, func() (*Kernel, error) {
		lib, err := load()
		if err != nil {
			return nil, err
		}
		if lib != nil {
			found, err := lib.list(s.CPU)
			if err != nil {
				return nil, err
			}
			for _, f := range found {
				if kernel.Same(f.Device, d) {
					return open(lib, f, kernels)
				}
			}
		}
		return nil, &kernel.NotFoundError{Driver: s.Name(), ID: d.ID}
	})
	if err != nil {
		return nil, err // not a nil *Kernel in an interface
	}
	return k, nil
}

// await runs call, which can't be interrupted, and leaves it behind when ctx ends.
// A call that is left behind closes what it opens.
func await[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result)
	go func() {
		value, err := call()
		select {
		case done <- result{value, err}:
		case <-ctx.Done():
			if closer, ok := any(value).(interface{ Close() error }); ok && err == nil {
				_ = closer.Close() // nobody is left who would want to know
			}
		}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("the OpenCL driver didn't answer in time: %w", ctx.Err())
	}
}
