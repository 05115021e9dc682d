package prover

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/modmath"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/device/kernel"
	"souk/protocol/challenge"
	"souk/protocol/wire"
)

// session is one challenge's hold on devices.
type session struct {
	p         *Prover
	client    peer.ID // empty: this node measures itself
	start     challenge.Start
	limit     limited
	held      *capacity.Reservation // nil: the devices are those of a lease
	over      <-chan struct{}       // closed when that lease ends
	devices   []device.Device
	began     time.Time // the hold on them
	kernels   []kernel.Kernel
	simulated bool
	blocks    uint64
	memories  []kernel.Memory
	chased    bool
	learned   bool

	mu      sync.Mutex
	ops     float64       // of the longest product of one device, and how long it took
	took    time.Duration // by the kernel's clock
	working time.Duration // of each device, so far
	filling time.Duration
}

// Ready implements challenge.Session.
func (s *session) Ready() challenge.Ready {
	return challenge.Ready{Blocks: s.blocks, Simulated: s.simulated}
}

// Multiply implements challenge.Session.
func (s *session) Multiply(ctx context.Context, jobs []challenge.ProductJob) ([][]uint32, error) {
	if err := s.affordable(jobs[0].Product); err != nil {
		return nil, err
	}
	if s.limit.products > 0 {
		var cancel context.CancelFunc
		// What no rate foretold is cut off here.
		ctx, cancel = context.WithTimeout(ctx, 2*s.limit.products-s.working)
		defer cancel()
	}
	out := make([][]uint32, len(jobs))
	began := time.Now()
	err := s.each(len(jobs), func(i int) error {
		product, err := s.kernels[jobs[i].Device].Multiply(ctx, jobs[i].Product)
		out[i] = product.C
		s.note(jobs[i].Product, product.Took)
		return err
	})
	s.working += time.Since(began)
	return out, err
}

// affordable keeps a stranger's products within its time, as far as this node
// knows its own speed.
func (s *session) affordable(job modmath.Product) error {
	if s.limit.products == 0 {
		return nil
	}
	left := s.limit.products - s.working
	known := s.p.speed(s.start.Slug).Ops
	if left <= 0 || known > 0 && float64(job.Operations())/known > left.Seconds() {
		return wire.Refuse(wire.OverLimit, "a product of order %d and %d rounds takes more than what is left of the %s for one challenge", job.N, job.Rounds, s.limit.products)
	}
	return nil
}

func (s *session) note(job modmath.Product, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ops := float64(job.Operations()); ops > s.ops && took > 0 {
		s.ops, s.took = ops, took
	}
}

// Fill implements challenge.Session.
func (s *session) Fill(ctx context.Context, jobs []modmath.Memory) error {
	s.memories = make([]kernel.Memory, len(jobs))
	return s.each(len(jobs), func(i int) error {
		m, err := s.kernels[i].Fill(ctx, jobs[i])
		if err != nil {
			return err // m may be a nil pointer in an interface
		}
		s.memories[i] = m
		s.mu.Lock()
		defer s.mu.Unlock()
		s.filling = max(s.filling, m.Took())
		return nil
	})
}

// Sweep implements challenge.Session.
func (s *session) Sweep(ctx context.Context, nonce uint64, passes int) ([][]uint64, error) {
	out := make([][]uint64, len(s.memories))
	err := s.each(len(s.memories), func(i int) error {
		for pass := range passes {
			sums, err := s.memories[i].Sweep(ctx, nonce+uint64(pass)) //nolint:gosec // small
			if err != nil {
				return err
			}
			if out[i] == nil {
				out[i] = sums.Sums
				continue
			}
			for b, sum := range sums.Sums {
				out[i][b] += sum
			}
		}
		return nil
	})
	return out, err
}

// Chase implements challenge.Session.
func (s *session) Chase(ctx context.Context, nonce, start uint64, steps int) ([][]uint64, error) {
	out := make([][]uint64, len(s.memories))
	err := s.each(len(s.memories), func(i int) error {
		trace, err := s.memories[i].Chase(ctx, nonce, start, steps)
		out[i] = trace.Words
		return err
	})
	if s.chased = err == nil; s.chased { // now: the client may give its measurement back before this side sees the end
		s.p.learn(s)
	}
	return out, err
}

// each does n things at once. What a kernel fails with is this node's to know;
// the client hears what follows from it.
func (s *session) each(n int, do func(int) error) error {
	failed := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { failed[i] = do(i) })
	}
	wg.Wait()
	err := errors.Join(failed...)
	var memory *kernel.MemoryError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled): // the challenge has ended
		return context.Canceled
	case errors.As(err, &memory):
		return wire.Refuse(wire.NoMatch, "a device hasn't that much memory free")
	case errors.Is(err, context.DeadlineExceeded):
		return wire.Refuse(wire.OverLimit, "that takes more of a device's time than one challenge may")
	}
	s.p.Log.Error("a device failed in a challenge", "slug", s.start.Slug, "err", err)
	return wire.Refuse(wire.Internal, "a device of this provider failed")
}

// Over implements challenge.Session.
func (s *session) Over() <-chan struct{} { return s.over }

// Close implements challenge.Session.
func (s *session) Close() {
	var failed []error
	for _, m := range s.memories {
		if m != nil {
			failed = append(failed, m.Release())
		}
	}
	for _, k := range s.kernels {
		if k != nil {
			failed = append(failed, k.Close())
		}
	}
	if err := errors.Join(failed...); err != nil {
		s.p.Log.Error("a device of a challenge isn't given back whole", "slug", s.start.Slug, "err", err)
	}
	if s.limit.stranger {
		s.p.spend(s.devices, s.p.Now().Sub(s.began))
	}
	s.p.vacate(s.devices)
	if s.held != nil {
		s.held.Release()
	}
	s.p.learn(s)
	if s.client != "" {
		s.p.leave(s.client)
	}
	s.p.Changed()
}
