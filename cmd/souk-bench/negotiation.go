package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"souk/node/jobfile"
	"souk/protocol/wire"
)

// negotiations are what it takes to agree on a lease.
func negotiations() []figure {
	return []figure{
		{
			name:  "negotiation",
			about: "quote and accept on a warm connection, median; against 2 round trips, 4 signatures, 3 synced writes; ≤ 1.5",
			run:   negotiation,
		},
		{
			name:  "negotiations",
			about: "negotiations per second, 64 in flight; against the same floor with 64 in flight; ≥ 60 %",
			run:   negotiationsPerSecond,
		},
	}
}

const (
	warmups    = 5    // of what is measured one after the other, not counted
	leaseSlots = 1024 // leases that stand without a process
	// leaseAsks are the streams of one negotiation. One peer may open wire.AsksPerSecond of
	// them a second, so that whoever measures one after the other goes slower than that.
	leaseAsks = 2
	pace      = leaseAsks * time.Second * 11 / (10 * wire.AsksPerSecond)
)

// haggle starts a rig and a haggler for do, and a no-op job for it.
func haggle(ctx context.Context, do func(h *haggler, job jobfile.Spec) error) (err error) {
	r, err := newRig(ctx, leaseSlots)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	h, err := newHaggler(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	module, err := writeModule(r.dir, "noop", trivialModule())
	if err != nil {
		return err
	}
	busy, err := writeModule(r.dir, "busy", busyModule())
	if err != nil {
		return err
	}
	if err := h.earn(ctx, specFor(busy, 2*leaseSlots)); err != nil {
		return fmt.Errorf("become a regular: %w", err)
	}
	return do(h, specFor(module, 2*leaseSlots))
}

func negotiation(ctx context.Context, s *session) ([]result, error) {
	limit, err := negotiationFloor(ctx, s)
	if err != nil {
		return nil, err
	}
	var all []time.Duration
	err = haggle(ctx, func(h *haggler, job jobfile.Spec) (err error) {
		all, err = h.inTurn(ctx, job, s.times(150), pace)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := against("negotiation", millis(median(all)), "ms", millis(limit.p50), "ms", goal{most: 1.5})
	r.Note = fmt.Sprintf("median of %d, 95th percentile %.3g ms; with the client's note that the lease is agreed, a fourth synced write", len(all), millis(percentile(all, 0.95)))
	return []result{r}, nil
}

// inTurn has n leases agreed, one after the other and not faster than one each
// time that every has passed, and gives how long each of them took.
func (h *haggler) inTurn(ctx context.Context, job jobfile.Spec, n int, every time.Duration) (all []time.Duration, err error) {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for i := range warmups + n {
		events, err := h.submit(ctx, job)
		if err != nil {
			return all, err
		}
		<-ticks.C
		if err := h.release(ctx); err != nil {
			return all, err
		}
		began := time.Now()
		at, err := agreed(events)
		if err != nil {
			return all, err
		}
		if i >= warmups {
			all = append(all, at.Sub(began))
		}
	}
	return all, nil
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }

func negotiationsPerSecond(ctx context.Context, s *session) ([]result, error) {
	limit, err := negotiationFloor(ctx, s)
	if err != nil {
		return nil, err
	}
	count := tally{longest: most}
	err = haggle(ctx, func(h *haggler, job jobfile.Spec) error {
		n := s.times(800)
		outcomes := make(chan error, n)
		for range n {
			events, err := h.submit(ctx, job)
			if err != nil {
				return err
			}
			go func() { // ends with the engine at the latest
				_, err := agreed(events)
				outcomes <- err
			}()
		}
		begun := 0
		count = count.of(ctx, n, outcomes, func() error {
			err := h.release(ctx)
			if begun++; begun == n { // who needs a second quote searches again
				close(h.gate.open)
			}
			return err
		})
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	r := against("negotiations", count.perSecond(), "/s", limit.perSecond, "/s", goal{least: 0.6})
	r.Note = count.String()
	return []result{r}, nil
}

// tally counts what went well of things of which inFlight are under way at a time.
type tally struct {
	longest   time.Duration // that counting goes on
	good, bad int
	why       error // of the last that went badly
	took      time.Duration
}

// most is how long a figure goes on that isn't through with its count.
const most = 20 * time.Second

// of begins n things, each with start, as the outcomes of others come in.
func (t tally) of(ctx context.Context, n int, outcomes <-chan error, start func() error) tally {
	began := time.Now()
	end := time.NewTimer(t.longest)
	defer end.Stop()
	begun, open := 0, 0
	for {
		for ; begun < n && open < inFlight; begun, open = begun+1, open+1 {
			if err := start(); err != nil {
				return tally{bad: 1, why: err}
			}
		}
		if open == 0 {
			return t
		}
		select {
		case err := <-outcomes:
			open--
			if t.took = time.Since(began); err == nil {
				t.good++
				continue
			}
			t.bad++
			t.why = err
		case <-end.C:
			t.took = time.Since(began)
			return t
		case <-ctx.Done():
			return t
		}
	}
}

func (t tally) perSecond() float64 {
	if t.took <= 0 {
		return 0
	}
	return float64(t.good) / t.took.Seconds()
}

func (t tally) String() string {
	text := fmt.Sprintf("%d in %s", t.good, t.took.Round(time.Millisecond))
	if t.bad > 0 {
		text += fmt.Sprintf("; %d failed, the last with: %v", t.bad, t.why)
	}
	return text
}
