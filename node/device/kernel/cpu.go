package kernel

import (
	"context"
	"sync"
	"time"

	"souk/internal/modmath"
)

// CPU is the reference: one core computes what a device would, with no more memory than it is given.
type CPU struct {
	ID     string // the device that it stands for
	Memory uint64 // bytes that Fill may take; 0 means 1 GiB

	mutex sync.Mutex
}

// Name says that no device computes here.
func (c *CPU) Name() string { return "one core of the CPU" }

// DeviceID is ID.
func (c *CPU) DeviceID() string { return c.ID }

// Multiply computes the product on one core.
func (c *CPU) Multiply(ctx context.Context, job modmath.Product) (Product, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	began := time.Now()
	product, err := job.Compute(ctx)
	return Product{C: product, Took: time.Since(began)}, err
}

// Fill fills memory of this process.
func (c *CPU) Fill(ctx context.Context, job modmath.Memory) (Memory, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	have := c.Memory
	if have == 0 {
		have = 1 << 30
	}
	if job.Bytes() > have {
		return nil, &MemoryError{Device: c.Name(), Want: job.Bytes(), Have: have}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	began := time.Now()
	blocks := make([]modmath.Block, job.Blocks)
	for i := range blocks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		job.Fill(&blocks[i], uint64(i))
	}
	return &cpuMemory{cpu: c, job: job, blocks: blocks, took: time.Since(began)}, nil
}

// Close does nothing.
func (c *CPU) Close() error { return nil }

type cpuMemory struct {
	cpu    *CPU
	job    modmath.Memory
	blocks []modmath.Block
	took   time.Duration
}

func (m *cpuMemory) Took() time.Duration { return m.took }

func (m *cpuMemory) Sweep(ctx context.Context, nonce uint64) (Sums, error) {
	m.cpu.mutex.Lock()
	defer m.cpu.mutex.Unlock()
	began := time.Now()
	sums := make([]uint64, len(m.blocks))
	for i := range m.blocks {
		if err := ctx.Err(); err != nil {
			return Sums{}, err
		}
		sums[i] = m.blocks[i].Sum(nonce)
	}
	return Sums{Sums: sums, Took: time.Since(began)}, nil
}

func (m *cpuMemory) Chase(ctx context.Context, nonce, start uint64, steps int) (Trace, error) {
	if err := CheckSteps(steps); err != nil {
		return Trace{}, err
	}
	m.cpu.mutex.Lock()
	defer m.cpu.mutex.Unlock()
	began := time.Now()
	words, previous := make([]uint64, steps), start
	for k := range words {
		block, word := m.job.Step(nonce, uint64(k), previous)
		previous = m.blocks[block][word]
		words[k] = previous
	}
	return Trace{Words: words, Took: time.Since(began)}, ctx.Err()
}

func (m *cpuMemory) Release() error {
	m.blocks = nil
	return nil
}
