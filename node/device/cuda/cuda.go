// Package cuda finds NVIDIA devices by the CUDA driver API and computes
// challenges on them with kernels in PTX, which the driver compiles for the device that is there.
//
// The driver's library is opened at run time, so souk neither links to CUDA nor
// needs it: where there is none, there are no devices, which is no error. No CUDA toolkit is needed either.
//
// It has never run on a real GPU: its tests run the same PTX in an interpreter
// behind a driver that isn't one, bit for bit against internal/modmath. What only a
// real driver can refuse (its compiler, its limits) is not known.
package cuda

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"souk/node/device"
	"souk/node/device/kernel"
)

// Source finds the devices of the CUDA driver. It implements kernel.Driver. NVML
// says more about the same devices, under the same IDs.
type Source struct{}

// Name is "cuda".
func (Source) Name() string { return "cuda" }

// Devices returns every device, as the driver claims it to be.
func (Source) Devices(ctx context.Context) ([]device.Device, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lib, err := load()
	if err != nil || lib == nil {
		return nil, err
	}
	found, err := lib.list()
	if err != nil {
		return nil, err
	}
	devices := make([]device.Device, len(found))
	for i, f := range found {
		devices[i] = f.Device
	}
	return devices, nil
}

// Open prepares the device that is d. A *kernel.NotFoundError is one that isn't there, or an
// instance of a partitioned GPU, which this driver API doesn't list beside others.
func (s Source) Open(ctx context.Context, d device.Device) (kernel.Kernel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lib, err := load()
	if err != nil {
		return nil, err
	}
	if lib != nil {
		found, err := lib.list()
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if kernel.Same(f.Device, d) {
				return opened(open(lib, f))
			}
		}
	}
	return nil, &kernel.NotFoundError{Driver: s.Name(), ID: d.ID}
}

// opened makes no interface of a nil *Kernel.
func opened(k *Kernel, err error) (kernel.Kernel, error) {
	if err != nil {
		return nil, err
	}
	return k, nil
}

// found is a device and its number.
type found struct {
	device.Device
	number int32
}

// list returns the driver's devices in its order.
func (l *library) list() ([]found, error) {
	switch status := l.initialize(0); status {
	case success:
	case noDevice, insufficientDriver, stubLibrary:
		return nil, nil
	default:
		return nil, &Error{Doing: "starting the driver", Status: status}
	}
	var count int32
	if status := l.deviceGetCount(&count); status != success {
		return nil, &Error{Doing: "counting devices", Status: status}
	}
	var all []found
	for i := range count {
		f, err := l.describe(i)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func (l *library) describe(ordinal int32) (found, error) {
	var f found
	var name [128]byte
	var uuid [16]byte
	var memory uintptr
	for _, ask := range []func() int32{
		func() int32 { return l.deviceGet(&f.number, ordinal) },
		func() int32 { return l.deviceGetName(&name[0], int32(len(name)), f.number) },
		func() int32 { return l.deviceGetUUID(&uuid[0], f.number) },
		func() int32 { return l.deviceTotalMem(&memory, f.number) },
	} {
		if status := ask(); status != success {
			return f, &Error{Doing: fmt.Sprintf("asking about device %d", ordinal), Status: status}
		}
	}
	model, _, _ := strings.Cut(string(name[:]), "\x00")
	text := hex.EncodeToString(uuid[:])
	f.Device = device.Device{
		ID:    "GPU-" + strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-"),
		Model: model, Slug: device.Slug(model), VRAM: int64(memory), Kind: device.Claimed, Vendor: "nvidia",
	}
	return f, nil
}
