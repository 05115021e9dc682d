package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
)

// payments are what it takes to be paid as a job runs.
func payments() []figure {
	return []figure{{
		name:  "ticks",
		about: "countersigned ticks per second of 64 leases, durable on both sides; against the smaller of synced commits and signatures; ≥ 50 %",
		run:   ticksPerSecond,
	}}
}

// maxTicks is how many of one lease a provider and a client take in one go,
// however short their ticks are.
const maxTicks = 60

func ticksPerSecond(ctx context.Context, s *session) (_ []result, err error) {
	commits, signatures, err := paymentFloor(ctx, s)
	if err != nil {
		return nil, err
	}
	dir, remove, err := scratch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	t, err := newTill(ctx, dir, inFlight)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	module, err := writeModule(dir, "noop", trivialModule())
	if err != nil {
		return nil, err
	}
	leases, err := t.lease(ctx, module, inFlight)
	if err != nil {
		return nil, err
	}
	n, took, err := t.tickAll(ctx, leases, s.times(maxTicks))
	if err != nil {
		return nil, err
	}
	r := against("ticks", float64(n)/took.Seconds(), "/s", min(commits, signatures), "/s", goal{least: 0.5})
	r.Note = fmt.Sprintf("%d ticks of %d leases, both sides in one process; the limit is the smaller of %.0f/s pairs of synced commits by %d writers and %.0f/s times 3 signatures made and 3 checked",
		n, len(leases), commits, inFlight, signatures)
	return []result{r}, nil
}

// running is a lease whose process runs, on the stage.
type running struct {
	id     string
	events <-chan client.Event
}

// lease makes leases one after the other, and waits until all of them run.
func (t *till) lease(ctx context.Context, module string, n int) (all []running, err error) {
	spec := jobfile.Spec{Name: "ticks", WASM: module, CPU: 1, Memory: 1 << 20, Disk: 1 << 20, Time: time.Hour, Total: market.NewAmount(1 << 40), Region: jobfile.DefaultRegion}
	ticks := time.NewTicker(jobPace)
	defer ticks.Stop()
	for range n {
		<-ticks.C
		id, err := t.client.Submit(ctx, spec, "")
		if err != nil {
			return nil, err
		}
		l := running{}
		if l.events, err = t.client.Watch(ctx, id, 0); err != nil {
			return nil, err
		}
		if l.id, err = untilRunning(l.events); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// untilRunning reads a job's events until its process runs, and gives its lease.
func untilRunning(events <-chan client.Event) (lease string, err error) {
	for ev := range events {
		switch {
		case ev.Kind == client.Leased:
			lease = ev.Lease
		case ev.Kind == client.StateIs && ev.State == string(market.Running):
			return lease, nil
		case ev.Kind == client.Finished:
			return "", fmt.Errorf("%s: %s", ev.Code, ev.Text)
		}
	}
	return "", errors.New("the engine ended")
}

// tickAll lets each lease run for so many ticks, each as soon as the one before
// is countersigned, and waits until the provider has all of it in its books.
func (t *till) tickAll(ctx context.Context, leases []running, each int) (n int, took time.Duration, err error) {
	t.skipped.Store(int64(2 * time.Duration(each) * tillTick))
	ended := make(chan error, len(leases))
	began := time.Now()
	for _, l := range leases {
		t.stage.pass(l.id)
		go func() { // ends with the engine at the latest
			ended <- t.tick(l, each)
		}()
	}
	for range leases {
		select {
		case err := <-ended:
			if err != nil {
				return 0, 0, err
			}
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	for n < each*len(leases) && err == nil && ctx.Err() == nil {
		n, err = t.countersigned(ctx)
	}
	return n, time.Since(began), errors.Join(err, ctx.Err())
}

func (t *till) tick(l running, each int) error {
	for ev := range l.events {
		switch {
		case ev.Kind == client.Ticked && int(ev.Seq) >= each:
			return nil
		case ev.Kind == client.Ticked:
			t.stage.pass(l.id)
		case ev.Kind == client.Ended || ev.Kind == client.Finished:
			return fmt.Errorf("a lease ended: %s %s", ev.Outcome, ev.Text)
		}
	}
	return errors.New("the engine ended")
}

// countersigned is how many receipts the provider's books have with both signatures.
func (t *till) countersigned(ctx context.Context) (n int, err error) {
	err = t.sold.View(ctx, func(tx *ledger.Tx) error {
		for l, err := range tx.Leases(ledger.Provider) {
			if err != nil {
				return err
			}
			n += int(l.Countersigned.Seq)
		}
		return nil
	})
	return n, err
}

// paymentFloor is how many ticks a second there could be if each were a synced
// commit on both sides and nothing else, and how many if each were its signatures:
// receipt, countersignature and voucher, made by one side and checked by the other.
func paymentFloor(ctx context.Context, s *session) (commits, signatures float64, err error) {
	dir, remove, err := scratch()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	var both [2]*scribe
	for i := range both {
		if both[i], err = newScribe(filepath.Join(dir, fmt.Sprint(i))); err != nil {
			return 0, 0, err
		}
		defer func() { err = errors.Join(err, both[i].db.Close()) }()
	}
	commits, err = perSecond(ctx, s.times(20_000), inFlight, 5*time.Second, func(context.Context) error {
		return errors.Join(both[0].write(), both[1].write())
	})
	if err != nil {
		return 0, 0, err
	}
	signatures, err = perSecond(ctx, s.times(10_000), runtime.NumCPU(), 5*time.Second, func(context.Context) error {
		for i := range 3 {
			if err := both[i%2].signAndCheck(); err != nil {
				return err
			}
		}
		return nil
	})
	return commits, signatures, err
}

func (s *scribe) signAndCheck() error {
	digest := market.Hash{}
	binary.BigEndian.PutUint64(digest[:], s.last.Add(1))
	sig, err := s.signer.Sign(digest)
	if err != nil {
		return err
	}
	return sig.Verify(digest, s.signer.Address())
}
