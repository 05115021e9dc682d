package opencl

import (
	"context"
	"time"

	"souk/internal/modmath"
	"souk/node/device/kernel"
)

const (
	maxPieces   = 8       // pointers that the chase kernel takes
	fillBlocks  = 1 << 14 // 1 GiB in one launch: a few seconds on a slow device
	sweepBlocks = 1 << 18 // 16 GiB in one launch
)

// memory is filled memory: pieces of chunk blocks each, the last one maybe shorter,
// because drivers limit a single buffer to as little as a quarter of the memory.
type memory struct {
	kernel *Kernel
	job    modmath.Memory
	chunk  uint64 // blocks
	pieces []uintptr
	took   time.Duration
}

// Fill fills memory of the device.
func (k *Kernel) Fill(ctx context.Context, job modmath.Memory) (kernel.Memory, error) {
	return k.fill(ctx, job, k.device.maxAlloc/modmath.BlockBytes)
}

// fill takes pieces of at most chunk blocks.
func (k *Kernel) fill(ctx context.Context, job modmath.Memory, chunk uint64) (kernel.Memory, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	if chunk == 0 || job.Blocks > chunk*maxPieces || job.Bytes() > uint64(k.device.VRAM) {
		have := min(chunk*maxPieces*modmath.BlockBytes, uint64(k.device.VRAM))
		return nil, &kernel.MemoryError{Device: k.device.Model, Want: job.Bytes(), Have: have}
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.closed {
		return nil, errClosed
	}
	m := &memory{kernel: k, job: job, chunk: min(chunk, job.Blocks)}
	if err := m.make(ctx); err != nil {
		k.free(m.pieces)
		return nil, sized(err, job.Bytes())
	}
	return m, nil
}

func (m *memory) make(ctx context.Context) error {
	k := m.kernel
	for first := uint64(0); first < m.job.Blocks; first += m.chunk {
		piece, err := k.buffer(min(m.chunk, m.job.Blocks-first) * modmath.BlockBytes)
		if err != nil {
			return err
		}
		m.pieces = append(m.pieces, piece)
	}
	began := time.Now()
	s := m.job.Words()
	err := m.each(fillBlocks, func(piece uintptr, at, first, count uint64) error {
		return k.run(ctx, "fill", size{global: []uintptr{up(count, 64)}}, piece, at, first, count, s[0], s[1], s[2], s[3])
	})
	m.took = time.Since(began)
	return err
}

// each calls do for at most step blocks at a time: count blocks from number
// first on, which stand in piece from block at on.
func (m *memory) each(step uint64, do func(piece uintptr, at, first, count uint64) error) error {
	for i, piece := range m.pieces {
		base := uint64(i) * m.chunk
		inPiece := min(m.chunk, m.job.Blocks-base)
		for at := uint64(0); at < inPiece; at += step {
			if err := do(piece, at, base+at, min(step, inPiece-at)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Took is how long filling took.
func (m *memory) Took() time.Duration { return m.took }

// Sweep sums up all blocks.
func (m *memory) Sweep(ctx context.Context, nonce uint64) (kernel.Sums, error) {
	k := m.kernel
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if err := m.usable(); err != nil {
		return kernel.Sums{}, err
	}
	out, err := k.buffer(8 * min(m.chunk, sweepBlocks))
	if err != nil {
		return kernel.Sums{}, err
	}
	defer k.free([]uintptr{out})
	result := kernel.Sums{Sums: make([]uint64, m.job.Blocks)}
	err = m.each(sweepBlocks, func(piece uintptr, at, first, count uint64) error {
		began := time.Now()
		s := size{global: []uintptr{uintptr(count) * modmath.SumLanes}, local: []uintptr{modmath.SumLanes}}
		if err := k.run(ctx, "sweep", s, piece, at, out, nonce); err != nil {
			return err
		}
		result.Took += time.Since(began)
		return read(k, out, result.Sums[first:first+count])
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
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if err := m.usable(); err != nil {
		return kernel.Trace{}, err
	}
	words, err := k.buffer(8 * uint64(steps))
	if err != nil {
		return kernel.Trace{}, err
	}
	defer k.free([]uintptr{words})
	arguments := make([]any, 0, maxPieces+6)
	for i := range maxPieces {
		arguments = append(arguments, m.pieces[min(i, len(m.pieces)-1)])
	}
	arguments = append(arguments, m.chunk, m.job.Blocks, words, uint32(steps), nonce, start)
	began := time.Now()
	if err := k.run(ctx, "chase", size{global: []uintptr{1}}, arguments...); err != nil {
		return kernel.Trace{}, err
	}
	trace := kernel.Trace{Took: time.Since(began), Words: make([]uint64, steps)}
	return trace, read(k, words, trace.Words)
}

// usable says whether memory and kernel are still there. The kernel is locked.
func (m *memory) usable() error {
	if m.kernel.closed || m.pieces == nil {
		return errClosed
	}
	return nil
}

// Release gives the memory back.
func (m *memory) Release() error {
	m.kernel.mutex.Lock()
	defer m.kernel.mutex.Unlock()
	pieces := m.pieces
	m.pieces = nil
	return m.kernel.check("giving back memory", m.kernel.free(pieces))
}
