package cuda

import (
	"context"
	"time"

	"souk/internal/modmath"
	"souk/node/device/kernel"
)

// launch bounds the multiplications of one launch: a tenth of a second on a slow
// device, so displays don't freeze and a context's end is noticed.
const launch = 1 << 33

// Multiply computes the product on the device, in three matrices of its memory.
func (k *Kernel) Multiply(ctx context.Context, job modmath.Product) (result kernel.Product, err error) {
	if err := job.Check(); err != nil {
		return kernel.Product{}, err
	}
	size := 4 * uint64(job.N) * uint64(job.N)
	err = k.locked(func() error {
		return k.with(3*size, func(at uint64) error {
			result, err = k.product(ctx, job, at, at+size, at+2*size)
			return err
		})
	})
	if err != nil {
		return kernel.Product{}, err
	}
	return result, nil
}

// product makes the matrices one after the other and multiplies them.
func (k *Kernel) product(ctx context.Context, job modmath.Product, left, right, next uint64) (kernel.Product, error) {
	entries := uint64(job.N) * uint64(job.N)
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
	result := kernel.Product{Took: time.Since(began), C: make([]uint32, entries)}
	return result, read(k, left, result.C)
}

// entries makes a matrix.
func (k *Kernel) entries(ctx context.Context, to uint64, m modmath.Matrix, count uint64) error {
	d := m.Words()
	return k.run(ctx, "entries", line((count+3)/4, entriesThreads), to, count, d[0], d[1], d[2], d[3], d[4])
}

// multiply computes bands of whole tiles of rows.
func (k *Kernel) multiply(ctx context.Context, left, right, out, n uint64) error {
	band := max(tile, launch/(n*n)/tile*tile)
	for first := uint64(0); first < n; first += band {
		g := grid{tiles(n), tiles(min(band, n-first)), multiplySide, multiplySide}
		if err := k.run(ctx, "multiply", g, left, right, out, uint32(n), uint32(first)); err != nil {
			return err
		}
	}
	return nil
}

func tiles(n uint64) uint32 { return uint32((n + tile - 1) / tile) }
