package opencl

import (
	"context"
	"time"

	"souk/internal/modmath"
	"souk/node/device/kernel"
)

const (
	tile = 64 // TILE in kernels.cl
	// launch bounds the multiplications of one launch: some milliseconds on
	// a GPU, seconds on a slow CPU; displays don't freeze, and a context's end is noticed.
	launch = 1 << 33
)

// Multiply computes the product on the device, in three matrices of its memory.
func (k *Kernel) Multiply(ctx context.Context, job modmath.Product) (kernel.Product, error) {
	if err := job.Check(); err != nil {
		return kernel.Product{}, err
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.closed {
		return kernel.Product{}, errClosed
	}
	entries := uint64(job.N) * uint64(job.N)
	product, err := k.product(ctx, job, entries)
	return product, sized(err, 3*4*entries)
}

// product makes the matrices one after the other and multiplies them.
func (k *Kernel) product(ctx context.Context, job modmath.Product, entries uint64) (kernel.Product, error) {
	buffers, err := k.buffers(3, 4*entries)
	if err != nil {
		return kernel.Product{}, err
	}
	defer k.free(buffers)
	left, right, next := buffers[0], buffers[1], buffers[2]
	began := time.Now()
	if err := k.entries(ctx, left, job.Matrix(0), entries); err != nil {
		return kernel.Product{}, err
	}
	for i := 1; i <= job.Rounds; i++ {
		if err := k.entries(ctx, right, job.Matrix(i), entries); err != nil {
			return kernel.Product{}, err
		}
		if err := k.multiply(ctx, left, right, next, uint64(job.N)); err != nil {
			return kernel.Product{}, err
		}
		left, next = next, left
	}
	took := time.Since(began)
	c := make([]uint32, entries)
	if err := read(k, left, c); err != nil {
		return kernel.Product{}, err
	}
	return kernel.Product{C: c, Took: took}, nil
}

// entries makes a matrix.
func (k *Kernel) entries(ctx context.Context, to uintptr, m modmath.Matrix, count uint64) error {
	d := m.Words()
	return k.run(ctx, "entries", size{global: []uintptr{up((count+3)/4, tile)}}, to, count, d[0], d[1], d[2], d[3], d[4])
}

// multiply computes bands of whole tiles of rows.
func (k *Kernel) multiply(ctx context.Context, left, right, out uintptr, n uint64) error {
	band := max(tile, launch/(n*n)/tile*tile)
	for first := uint64(0); first < n; first += band {
		rows := min(band, n-first)
		s := size{global: []uintptr{up(n, tile) / 4, up(rows, tile) / 4}, local: []uintptr{tile / 4, tile / 4}}
		if err := k.run(ctx, "multiply", s, left, right, out, uint32(n), uint32(first)); err != nil {
			return err
		}
	}
	return nil
}
