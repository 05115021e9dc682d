package kernel

import (
	"context"
	"time"

	"souk/internal/bounded"
	"souk/internal/modmath"
)

// stuckTime is how long a device may take to end what it was given, once a
// call's context has ended; a Kernel's own promise is a few seconds.
const stuckTime = 15 * time.Second

// OpenBounded is Open, with calls that a driver which hangs doesn't block for
// ever: they end with bounded.ErrNoAnswer, and so do all others of those calls,
// which are the device's, until the driver returns.
func OpenBounded(ctx context.Context, calls *bounded.Calls, open func() (Kernel, error)) (Kernel, error) {
	k, err := bounded.Do(ctx, calls, stuckTime, open, func(late Kernel) { _ = late.Close() })
	if err != nil {
		return nil, err
	}
	return &boundKernel{k, calls}, nil
}

type boundKernel struct {
	Kernel
	calls *bounded.Calls
}

func (b *boundKernel) Multiply(ctx context.Context, job modmath.Product) (Product, error) {
	return bounded.Do(ctx, b.calls, stuckTime, func() (Product, error) { return b.Kernel.Multiply(ctx, job) })
}

func (b *boundKernel) Fill(ctx context.Context, job modmath.Memory) (Memory, error) {
	m, err := bounded.Do(ctx, b.calls, stuckTime, func() (Memory, error) { return b.Kernel.Fill(ctx, job) }, func(late Memory) { _ = late.Release() })
	if err != nil {
		return nil, err
	}
	return &boundMemory{m, b.calls}, nil
}

func (b *boundKernel) Close() error { return ending(b.calls, b.Kernel.Close) }

type boundMemory struct {
	Memory
	calls *bounded.Calls
}

func (b *boundMemory) Sweep(ctx context.Context, nonce uint64) (Sums, error) {
	return bounded.Do(ctx, b.calls, stuckTime, func() (Sums, error) { return b.Memory.Sweep(ctx, nonce) })
}

func (b *boundMemory) Chase(ctx context.Context, nonce, start uint64, steps int) (Trace, error) {
	return bounded.Do(ctx, b.calls, stuckTime, func() (Trace, error) { return b.Memory.Chase(ctx, nonce, start, steps) })
}

func (b *boundMemory) Release() error { return ending(b.calls, b.Memory.Release) }

// ending is a call that gives something back, and has no context.
func ending(calls *bounded.Calls, call func() error) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := bounded.Do(ctx, calls, stuckTime, func() (struct{}, error) { return struct{}{}, call() })
	return err
}
