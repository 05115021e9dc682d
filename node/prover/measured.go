package prover

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/device"
	"souk/protocol/challenge"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// book has the newest measurements of each slug: this node's own, and the
// newest of a client.
type book map[string][2]*offer.Measurement

// Measured are the measurements to show for a kind of device, the newest first.
// Those of more devices than count are left out.
func (p *Prover) Measured(slug string, count int) []offer.Measurement {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []offer.Measurement
	for _, m := range p.book[slug] {
		if m != nil && m.Count <= count && p.Now().Sub(m.At) < offer.MeasuredFor {
			out = append(out, *m)
		}
	}
	slices.SortStableFunc(out, func(a, b offer.Measurement) int { return b.At.Compare(a.At) })
	return out
}

// learn remembers, once for each session, how fast the devices were, where this node asked itself, and
// who may give a measurement back.
func (p *Prover) learn(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case s.simulated || s.ops == 0 || s.learned:
	case s.client != "" && (s.chased || s.blocks == 0):
		p.finished.Add(s.client, finished{s.start.Slug, s.start.Count, p.Now()})
	case s.client == "":
		learned := speed{Ops: s.ops / s.took.Seconds()}
		if s.filling > 0 {
			learned.Blocks = float64(s.blocks) / s.filling.Seconds()
		}
		p.speeds[s.start.Slug] = learned
	}
	s.learned = s.learned || s.chased
}

// Keep implements challenge.Prover: it takes a measurement from a client that
// has just challenged these devices, and shows it if it isn't far off its own.
func (p *Prover) Keep(_ context.Context, client peer.ID, q *pb.Measurement) error {
	m, err := offer.ReadMeasurement(q)
	if err != nil {
		return wire.Malformed("%v", err)
	}
	if m.Provider != p.self || m.By != client {
		return wire.Refuse(wire.BadRequest, "the measurement is of another provider, or by another peer than you")
	}
	if err := m.Verify(p.Network, p.Now()); err != nil {
		return wire.Refuse(wire.BadSignature, "%v", err)
	}
	if err := p.take(client, m); err != nil {
		return err
	}
	p.keep()
	p.Changed()
	return nil
}

func (p *Prover) take(client peer.ID, m offer.Measurement) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.finished.Get(client)
	if !ok || f.slug != m.Slug || f.count != m.Count || p.Now().Sub(f.at) > Window {
		return wire.Refuse(wire.WrongState, "no challenge of yours of %dx %s was finished in the last %s", m.Count, m.Slug, Window)
	}
	p.finished.Remove(client)
	both := p.book[m.Slug]
	if own := both[0]; own != nil && (perDevice(m) > 2*perDevice(*own) || 2*perDevice(m) < perDevice(*own)) {
		return wire.Refuse(wire.NoMatch, "that is far from what this provider measured itself").
			Near("%d million operations a second of each device", perDevice(*own))
	}
	both[1] = &m
	p.book[m.Slug] = both
	return nil
}

func perDevice(m offer.Measurement) uint64 { return m.Mops / uint64(m.Count) } //nolint:gosec // at least 1

// Measure challenges this node's own free devices that have a kernel, kind by kind, as a
// client would, and signs what it finds. A kind that no driver computes on
// stays as it is claimed.
func (p *Prover) Measure(ctx context.Context) error {
	var failed []error
	for _, g := range device.Groups(p.Capacity.Free().Devices) {
		if g.Kind == device.Simulated {
			continue
		}
		if err := p.measure(ctx, g); err != nil {
			failed = append(failed, fmt.Errorf("measure %s: %w", g.Model, err))
		}
	}
	return errors.Join(failed...)
}

func (p *Prover) measure(ctx context.Context, g device.Group) error {
	claim := challenge.Claim{Slug: g.Slug, Count: min(g.Count, challenge.MaxCount), Blocks: challenge.Blocks(g.VRAM)}
	parties := challenge.Parties{Network: p.Network, Provider: p.self, Client: p.self}
	v, err := challenge.Local(ctx, parties, myself{p}, claim, p.Self)
	if err != nil {
		return err
	}
	if v.Caught != "" {
		return fmt.Errorf("this machine's own devices don't stand their own test: %s", v.Sentence)
	}
	m, err := v.Measurement(p.self, p.Now()).Sign(p.Network, p.Key)
	if err != nil {
		return err
	}
	p.mu.Lock()
	both := p.book[g.Slug]
	both[0] = &m
	p.book[g.Slug] = both
	p.mu.Unlock()
	p.keep()
	p.Changed()
	return nil
}

// myself is a prover without limits, for its own node.
type myself struct{ p *Prover }

func (m myself) Begin(ctx context.Context, _ peer.ID, s challenge.Start) (challenge.Session, error) {
	return m.p.begin(ctx, "", s, limited{})
}

func (m myself) Keep(context.Context, peer.ID, *pb.Measurement) error { return nil }
