package prover

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/bounded"
	"souk/internal/modmath"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/device/kernel"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// Begin implements challenge.Prover for clients.
func (p *Prover) Begin(ctx context.Context, client peer.ID, s challenge.Start) (challenge.Session, error) {
	switch {
	case p.Mode == Off:
		return nil, wire.Refuse(wire.NoMatch, "this provider answers no challenges")
	case p.Mode == Lease && s.Lease == market.Hash{}:
		return nil, wire.Refuse(wire.NoMatch, "this provider gives no time away").Near("a challenge under a running lease of its devices")
	}
	if err := p.enter(client); err != nil {
		return nil, err
	}
	return p.begin(ctx, client, s, limited{products: ProductTime, fill: MemoryTime, stranger: s.Lease == market.Hash{}})
}

// limited is how much of each device's time a session may take; zero: any.
type limited struct {
	products, fill time.Duration
	stranger       bool // else the lease pays for filling all of its memory
}

// begin holds the devices, opens their kernels and warms them up. No client is
// this node itself.
func (p *Prover) begin(ctx context.Context, client peer.ID, start challenge.Start, l limited) (_ challenge.Session, err error) {
	s := &session{p: p, client: client, start: start, limit: l}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.devices, err = s.hold(); err != nil {
		return nil, err
	}
	if err := p.occupy(s.devices, l.stranger); err != nil {
		s.devices = nil // another challenge's
		return nil, err
	}
	s.began = p.Now()
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	s.blocks = s.mayFill()
	if err := s.warm(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// hold finds the devices: those of the lease, or free ones.
func (s *session) hold() ([]device.Device, error) {
	if s.start.Lease != (market.Hash{}) {
		devices, over, err := s.p.Leased(s.client, s.start.Lease)
		if err != nil {
			return nil, err
		}
		s.over = over
		var like []device.Device
		for _, d := range devices {
			if d.Slug == s.start.Slug {
				like = append(like, d)
			}
		}
		if len(like) != s.start.Count {
			return nil, wire.Refuse(wire.NoMatch, "the lease has %d %s, not %d", len(like), s.start.Slug, s.start.Count)
		}
		return like, nil
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	need := capacity.Need{Devices: device.Need{Slug: s.start.Slug, Count: s.start.Count, AllowSimulated: s.p.Simulate}, Exclusive: true}
	held, err := s.p.Capacity.Reserve(fmt.Sprintf("challenge-%x", id), need, time.Time{})
	var short *capacity.Shortage
	switch {
	case errors.As(err, &short) && short.Never():
		return nil, wire.Refuse(wire.NoMatch, "no %d devices here that are %s and can be challenged", s.start.Count, s.start.Slug)
	case errors.As(err, &short):
		return nil, wire.Refuse(wire.Busy, "%dx %s are not free now", s.start.Count, s.start.Slug).Near("%s", short.Error()).After(time.Minute)
	case err != nil:
		return nil, err
	}
	s.held = held
	return held.Devices(), nil
}

// open opens a kernel for each device.
func (s *session) open(ctx context.Context) error {
	s.kernels = make([]kernel.Kernel, len(s.devices))
	failed := make([]error, len(s.devices))
	var wg sync.WaitGroup
	for i, d := range s.devices {
		if d.Kind == device.Simulated {
			s.simulated = true
			s.kernels[i] = &kernel.CPU{ID: d.ID, Memory: simulatedMemory}
			continue
		}
		wg.Go(func() {
			k, err := kernel.OpenBounded(ctx, s.p.callsOf(d.ID), func() (kernel.Kernel, error) { return s.p.Open(ctx, d) })
			if err == nil { // else k may be a nil pointer in an interface
				s.kernels[i] = k
			}
			failed[i] = err
		})
	}
	wg.Wait()
	err := errors.Join(failed...)
	if errors.Is(err, bounded.ErrNoAnswer) {
		s.p.Log.Error("a device can't be challenged", "slug", s.start.Slug, "err", err)
		return wire.Refuse(wire.Busy, "the driver of this provider's %s doesn't answer", s.start.Slug).After(time.Minute)
	}
	if err != nil {
		s.p.Log.Warn("a device can't be challenged", "slug", s.start.Slug, "err", err)
		return wire.Refuse(wire.NoMatch, "this provider's %s can't be challenged: no driver here computes on it", s.start.Slug)
	}
	return nil
}

// simulatedMemory is what a simulated device fills at most: it comes out of
// the machine's own memory.
const simulatedMemory = 64 << 20

// mayFill is how many blocks of each device may be filled.
func (s *session) mayFill() uint64 {
	blocks := s.start.Blocks
	for _, d := range s.devices {
		most := challenge.Blocks(d.VRAM)
		if d.Kind == device.Simulated {
			most = min(most, simulatedMemory/challenge.BlockBytes)
		}
		blocks = min(blocks, most)
	}
	if s.limit.stranger && !s.simulated {
		most := uint64(s.p.speed(s.start.Slug).Blocks * s.limit.fill.Seconds())
		blocks = min(blocks, max(most, unknownBlock))
	}
	return blocks
}

// warm makes each device do a little of everything, so that what is measured
// later isn't its waking up or its driver's compiling.
func (s *session) warm(ctx context.Context) error {
	return s.each(len(s.kernels), func(i int) error {
		_, err := s.kernels[i].Multiply(ctx, modmath.Product{N: warmOrder, Rounds: 1})
		if err != nil || s.blocks == 0 {
			return err
		}
		m, err := s.kernels[i].Fill(ctx, modmath.Memory{Blocks: 1})
		if err != nil {
			return err
		}
		_, swept := m.Sweep(ctx, 0)
		_, chased := m.Chase(ctx, 0, 0, 1)
		return errors.Join(swept, chased, m.Release())
	})
}

const warmOrder = 256
