package cuda

import (
	"context"
	"time"

	"souk/internal/modmath"
	"souk/node/device/kernel"
)

const (
	fillBlocks  = 1 << 14 // 1 GiB in one launch: some tenths of a second on a slow device
	sweepBlocks = 1 << 18 // 16 GiB in one launch
)

// memory is filled memory, in one piece.
type memory struct {
	kernel  *Kernel
	job     modmath.Memory
	address uint64 // 0 after Release
	took    time.Duration
}

// Fill fills memory of the device.
func (k *Kernel) Fill(ctx context.Context, job modmath.Memory) (kernel.Memory, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	if job.Bytes() > uint64(k.device.VRAM) {
		return nil, &kernel.MemoryError{Device: k.device.Model, Want: job.Bytes(), Have: uint64(k.device.VRAM)}
	}
	m := &memory{kernel: k, job: job}
	err := k.locked(func() (err error) {
		if m.address, err = k.allocate(job.Bytes()); err != nil {
			return err
		}
		began := time.Now()
		s := job.Words()
		err = m.each(fillBlocks, func(at, count uint64) error {
			return k.run(ctx, "fill", line(count, fillThreads), m.address, at, at, count, s[0], s[1], s[2], s[3])
		})
		m.took = time.Since(began)
		if err != nil {
			_ = k.free(m.address) // the first error says more
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// locked calls do in the kernel's context with nobody else in it.
func (k *Kernel) locked(do func() error) error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.closed {
		return errClosed
	}
	return k.inContext(do)
}

// locked calls do as the kernel's does, if the memory is still there.
func (m *memory) locked(do func() error) error {
	return m.kernel.locked(func() error {
		if m.address == 0 {
			return errClosed
		}
		return do()
	})
}

// each calls do for at most step blocks at a time.
func (m *memory) each(step uint64, do func(at, count uint64) error) error {
	for at := uint64(0); at < m.job.Blocks; at += step {
		if err := do(at, min(step, m.job.Blocks-at)); err != nil {
			return err
		}
	}
	return nil
}

// Took is how long filling took.
func (m *memory) Took() time.Duration { return m.took }

// Sweep sums up all blocks.
func (m *memory) Sweep(ctx context.Context, nonce uint64) (kernel.Sums, error) {
	k := m.kernel
	result := kernel.Sums{Sums: make([]uint64, m.job.Blocks)}
	err := m.locked(func() error {
		return k.with(8*m.job.Blocks, func(out uint64) error {
			began := time.Now()
			err := m.each(sweepBlocks, func(at, count uint64) error {
				g := grid{uint32(count), 1, sweepThreads, 1}
				return k.run(ctx, "sweep", g, m.address, at, out+8*at, nonce)
			})
			if err != nil {
				return err
			}
			result.Took = time.Since(began)
			return read(k, out, result.Sums)
		})
	})
	if err != nil {
		return kernel.Sums{}, err
	}
	return result, nil
}

// Chase walks through the memory.
func (m *memory) Chase(ctx context.Context, nonce, start uint64, steps int) (kernel.Trace, error) {
	if err := kernel.CheckSteps(steps); err != nil {
		return kernel.Trace{}, err
	}
	k := m.kernel
	result := kernel.Trace{Words: make([]uint64, steps)}
	err := m.locked(func() error {
		return k.with(8*uint64(steps), func(out uint64) error {
			began := time.Now()
			err := k.run(ctx, "chase", line(1, 1), m.address, m.job.Blocks, out, uint32(steps), nonce, start)
			if err != nil {
				return err
			}
			result.Took = time.Since(began)
			return read(k, out, result.Words)
		})
	})
	if err != nil {
		return kernel.Trace{}, err
	}
	return result, nil
}

// Release gives the memory back.
func (m *memory) Release() error {
	return m.kernel.locked(func() error {
		address := m.address
		m.address = 0
		if address == 0 {
			return nil
		}
		return m.kernel.free(address)
	})
}
