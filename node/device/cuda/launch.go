package cuda

import (
	"context"
	"errors"
	"runtime"
	"unsafe"

	"souk/node/device/kernel"
)

// allocate takes memory of the device.
func (k *Kernel) allocate(bytes uint64) (uint64, error) {
	var address uint64
	status := k.lib.memAlloc(&address, uintptr(bytes))
	if status != outOfMemory {
		return address, k.check("reserving memory", status)
	}
	var free, total uintptr
	if k.lib.memGetInfo(&free, &total) != success {
		free = 0 // unknown
	}
	return 0, &kernel.MemoryError{Device: k.device.Model, Want: bytes, Have: uint64(free)}
}

// with calls do with memory of the device that is given back after it.
func (k *Kernel) with(bytes uint64, do func(address uint64) error) error {
	address, err := k.allocate(bytes)
	if err != nil {
		return err
	}
	return errors.Join(do(address), k.free(address))
}

func (k *Kernel) free(address uint64) error {
	return k.check("giving back memory", k.lib.memFree(address))
}

// grid is how many blocks there are, and how many threads in each.
type grid struct{ blocksX, blocksY, threadsX, threadsY uint32 }

// line is a grid of at least count threads.
func line(count uint64, threads uint32) grid {
	return grid{uint32((count + uint64(threads) - 1) / uint64(threads)), 1, threads, 1}
}

// run starts a kernel and waits for its end, unless ctx has ended. Arguments are
// uint32 and uint64, in the kernel's order.
func (k *Kernel) run(ctx context.Context, name string, g grid, arguments ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	values := make([]uint64, len(arguments)) // little-endian, as every machine with CUDA is
	pinner.Pin(&values[0])
	params := make([]unsafe.Pointer, len(arguments))
	for i, argument := range arguments {
		switch v := argument.(type) {
		case uint32:
			values[i] = uint64(v)
		case uint64:
			values[i] = v
		default:
			return k.check("setting up "+name, invalidValue)
		}
		params[i] = unsafe.Pointer(&values[i])
	}
	status := k.lib.launchKernel(k.kernels[name], g.blocksX, g.blocksY, 1, g.threadsX, g.threadsY, 1, 0, 0, &params[0], 0)
	if err := k.check("starting "+name, status); err != nil {
		return err
	}
	return k.check("computing "+name, k.lib.ctxSynchronize())
}

// read copies from an address to all of a slice.
func read[T uint32 | uint64](k *Kernel, from uint64, to []T) error {
	var each T
	bytes := uintptr(len(to)) * unsafe.Sizeof(each)
	return k.check("reading the result", k.lib.memcpyDtoH(unsafe.Pointer(&to[0]), from, bytes))
}
