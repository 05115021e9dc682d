package opencl

import (
	"context"
	"errors"
	"unsafe"

	"souk/node/device/kernel"
)

// buffer allocates memory of the device. Drivers may put the allocation off until it is used, so
// later calls can fail for want of memory, too.
func (k *Kernel) buffer(size uint64) (uintptr, error) {
	if size > k.device.maxAlloc {
		return 0, &kernel.MemoryError{Device: k.device.Model, Want: size, Have: k.device.maxAlloc}
	}
	const readWrite = 1
	var status int32
	handle := k.lib.createBuffer(k.context, readWrite, uintptr(size), nil, &status)
	return handle, k.memoryCheck("reserving memory", status, size)
}

// memoryCheck is check for calls that may fail for want of memory.
func (k *Kernel) memoryCheck(doing string, status int32, size uint64) error {
	if noMemory(status) {
		return &kernel.MemoryError{Device: k.device.Model, Want: size}
	}
	return k.check(doing, status)
}

// sized names what was wanted in an error that is for want of memory.
func sized(err error, want uint64) error {
	var tooMuch *kernel.MemoryError
	if errors.As(err, &tooMuch) {
		tooMuch.Want = want
	}
	return err
}

// buffers allocates several of one size; on an error none stays behind.
func (k *Kernel) buffers(count int, size uint64) (handles []uintptr, err error) {
	for range count {
		handle, err := k.buffer(size)
		if err != nil {
			k.free(handles)
			return nil, err
		}
		handles = append(handles, handle)
	}
	return handles, nil
}

// free gives buffers back and returns the first status that isn't success.
func (k *Kernel) free(handles []uintptr) (status int32) {
	for _, handle := range handles {
		if s := k.lib.releaseMemObject(handle); status == success {
			status = s
		}
	}
	return status
}

// argument is one of uint32, uint64 and uintptr (a buffer).
func (k *Kernel) argument(handle uintptr, i int, value any) int32 {
	switch v := value.(type) {
	case uint32:
		return k.lib.setKernelArg(handle, uint32(i), 4, unsafe.Pointer(&v))
	case uint64:
		return k.lib.setKernelArg(handle, uint32(i), 8, unsafe.Pointer(&v))
	case uintptr:
		return k.lib.setKernelArg(handle, uint32(i), unsafe.Sizeof(v), unsafe.Pointer(&v))
	}
	return invalidValue
}

// size is how many work-items there are in each dimension, in all and in a work-group; a
// local of nil leaves that to the driver.
type size struct{ global, local []uintptr }

// run starts a kernel and waits for its end, unless ctx has ended.
func (k *Kernel) run(ctx context.Context, name string, s size, arguments ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	handle := k.kernels[name]
	for i, value := range arguments {
		if err := k.check("setting up "+name, k.argument(handle, i, value)); err != nil {
			return err
		}
	}
	var local *uintptr
	if s.local != nil {
		local = &s.local[0]
	}
	status := k.lib.enqueueNDRangeKernel(k.queue, handle, uint32(len(s.global)), nil, &s.global[0], local, 0, 0, 0)
	if err := k.memoryCheck("starting "+name, status, 0); err != nil {
		return err
	}
	return k.memoryCheck("computing "+name, k.lib.finish(k.queue), 0)
}

// read copies from the start of a buffer to all of a slice.
func read[T uint32 | uint64](k *Kernel, buffer uintptr, to []T) error {
	const wait = 1
	var each T
	bytes := uintptr(len(to)) * unsafe.Sizeof(each)
	status := k.lib.enqueueReadBuffer(k.queue, buffer, wait, 0, bytes, unsafe.Pointer(&to[0]), 0, 0, 0)
	return k.check("reading the result", status)
}

// up rounds n up to a whole number of steps.
func up(n, step uint64) uintptr { return uintptr((n + step - 1) / step * step) }
