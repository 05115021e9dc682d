package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"souk/node/client"
	"souk/node/control"
	"souk/node/jobfile"
	"souk/node/provider"
	"souk/protocol/wire"
)

// jobs are whole jobs that do nothing, on real processes.
func jobs() []figure {
	return []figure{
		{
			name:  "job",
			about: "a no-op WASM job from run on a warm connection to its receipt, median; against negotiation's floor and the executor alone; ≤ 1.5",
			run:   job,
		},
		{
			name:  "jobs-trivial",
			about: "no-op jobs per second of one client, 64 in flight, a trivial module; against the executor alone; ≥ 60 %",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return jobsPerSecond(ctx, s, "jobs-trivial", trivialModule())
			},
		},
		{
			name:  "jobs-80k",
			about: "the same with a module of 80 KB",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return jobsPerSecond(ctx, s, "jobs-80k", bigModule(1))
			},
		},
		{
			name:  "jobs-clients",
			about: "no-op jobs per second of 64 clients with one job each at a time; against wazero processes started per second; ≥ 80 %",
			run:   jobsOfClients,
		},
		{
			name:  "module-cold",
			about: "a module of 80 KB never seen before, from preparing it to its end; against wazero's compiling it; ≤ 1.5",
			run:   moduleCold,
		},
		{
			name:  "warm",
			about: "a no-op module in a sandbox that waited for it, a fresh one or its client's; against starting one for it; and the memory of those that wait",
			run:   warmSandboxes,
		},
	}
}

// phases are when a job got how far.
type phases struct{ began, placed, leased, running, receipt, end time.Time }

// runJob does what souk run does: it plans, submits and watches.
func runJob(ctx context.Context, b control.Backend, spec jobfile.Spec) (p phases, err error) {
	p.began = time.Now()
	plan, err := b.Plan(ctx, spec)
	if err != nil {
		return p, err
	}
	if plan.Code != "" {
		return p, fmt.Errorf("%s: %s", plan.Code, plan.Summary)
	}
	id, err := b.Submit(ctx, spec, plan.ID)
	if err != nil {
		return p, err
	}
	p.placed = time.Now()
	return p, p.follow(ctx, b, id)
}

// follow notes what comes of a job until it is done.
func (p *phases) follow(ctx context.Context, b control.Backend, id string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := b.Watch(ctx, id, 0)
	if err != nil {
		return err
	}
	for ev := range events {
		now := time.Now()
		switch ev.Kind {
		case client.Leased:
			p.leased = now
		case client.StateIs:
			if ev.State == "running" {
				p.running = now
			}
		case client.Ticked:
			p.receipt = now
		case client.Finished:
			if p.end = now; ev.Code != "" || ev.Exit == nil || *ev.Exit != 0 {
				return fmt.Errorf("%s: %s", ev.Code, ev.Text)
			}
			return nil
		}
	}
	return errors.Join(ctx.Err(), errors.New("the node stopped telling of the job"))
}

// jobPace keeps one client's jobs within what a peer may ask for.
const jobPace = 11 * time.Second * leaseAsks / (10 * wire.AsksPerSecond)

func job(ctx context.Context, s *session) (_ []result, err error) {
	limit, err := negotiationFloor(ctx, s)
	if err != nil {
		return nil, err
	}
	alone, err := executorAlone(ctx, s, "trivial", trivialModule())
	if err != nil {
		return nil, err
	}
	r, err := newRig(ctx, inFlight)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	module, err := writeModule(r.dir, "noop", trivialModule())
	if err != nil {
		return nil, err
	}
	var whole, plan, lease, prepare, end []time.Duration
	ticks := time.NewTicker(jobPace)
	defer ticks.Stop()
	for i := range warmups + s.times(100) {
		<-ticks.C
		p, err := runJob(ctx, r.control(), specFor(module, inFlight))
		if err != nil {
			return nil, err
		}
		if i >= warmups {
			whole = append(whole, p.receipt.Sub(p.began))
			plan, lease = append(plan, p.placed.Sub(p.began)), append(lease, p.leased.Sub(p.placed))
			prepare, end = append(prepare, p.running.Sub(p.leased)), append(end, p.receipt.Sub(p.running))
		}
	}
	out := against("job", millis(median(whole)), "ms", millis(limit.p50+alone.p50), "ms", goal{most: 1.5})
	out.Note = fmt.Sprintf("medians: search, quote and submitting %.3g ms, accepting %.3g ms, inputs and preparing %.3g ms, running to the receipt %.3g ms; the limit is %.3g + %.3g ms",
		millis(median(plan)), millis(median(lease)), millis(median(prepare)), millis(median(end)), millis(limit.p50), millis(alone.p50))
	return []result{out}, nil
}

// earn makes the rig's client a regular of the provider: it isn't bound to what
// strangers may do from then on.
func (r *rig) earn(ctx context.Context) error {
	module, err := writeModule(r.dir, "busy", busyModule())
	if err != nil {
		return err
	}
	for range provider.CreditEvery {
		if _, err := runJob(ctx, r.control(), specFor(module, inFlight)); err != nil {
			return fmt.Errorf("become a regular: %w", err)
		}
	}
	return nil
}

func jobsPerSecond(ctx context.Context, s *session, name string, module []byte) (_ []result, err error) {
	alone, err := executorAlone(ctx, s, name, module)
	if err != nil {
		return nil, err
	}
	r, err := newRig(ctx, inFlight)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	path, err := writeModule(r.dir, name, module)
	if err != nil {
		return nil, err
	}
	if err := r.earn(ctx); err != nil {
		return nil, err
	}
	spec := specFor(path, inFlight)
	if _, err := runJob(ctx, r.control(), spec); err != nil { // compiles the module, and isn't counted
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, 2*most)
	defer cancel()
	outcomes := make(chan error, inFlight)
	count := tally{longest: most}.of(ctx, s.times(1000), outcomes, func() error {
		go func() { // ends with limited
			_, err := runJob(limited, r.control(), spec)
			outcomes <- err
		}()
		return nil
	})
	out := against(name, count.perSecond(), "/s", alone.perSecond, "/s", goal{least: 0.6})
	out.Note = count.String()
	return []result{out}, ctx.Err()
}
