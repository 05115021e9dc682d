package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

const (
	// DefaultCheckEvery is how often executors are asked whether jobs can run.
	DefaultCheckEvery = 15 * time.Second
	// CheckTimeout is how long one of them may take to answer.
	CheckTimeout = 10 * time.Second
)

// shelf holds the executors by kind, and which of them can run jobs now.
type shelf struct {
	kinds []string // in the order in which they were given
	byID  map[string]executor.Executor

	mu      sync.Mutex
	trouble map[string]error // of those that can't run jobs now
	unfound map[string]bool  // those whose executions of before couldn't be looked for yet
}

func newShelf(list []executor.Executor) (*shelf, error) {
	s := &shelf{byID: map[string]executor.Executor{}, trouble: map[string]error{}, unfound: map[string]bool{}}
	for _, e := range list {
		if s.byID[e.Kind()] != nil {
			return nil, fmt.Errorf("there are two executors of the kind %s", e.Kind())
		}
		s.kinds = append(s.kinds, e.Kind())
		s.byID[e.Kind()] = e
	}
	if len(s.kinds) == 0 {
		return nil, errors.New("a provider needs an executor")
	}
	return s, nil
}

// able are the kinds of job that can run now.
func (s *shelf) able() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.kinds), func(k string) bool { return s.trouble[k] != nil })
}

// why is what keeps a kind from running jobs, nil where nothing does.
func (s *shelf) why(kind string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble[kind]
}

// lost says whether a kind's executions of before weren't looked for yet.
func (s *shelf) lost(kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unfound[kind]
}

func (s *shelf) note(kind string, err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = (s.trouble[kind] == nil) != (err == nil)
	if err == nil {
		delete(s.trouble, kind)
	} else {
		s.trouble[kind] = err
	}
	return changed
}

// Trouble is what keeps jobs of a kind from running now, nil where nothing does.
func (p *Provider) Trouble(kind string) error { return p.shelf.why(kind) }

// runnable refuses kinds of job that aren't run here, or not now.
func (p *Provider) runnable(kind string) error {
	if p.shelf.byID[kind] == nil {
		return wire.Refuse(wire.NoMatch, "no %.32s jobs here", kind).Near("this provider runs %s jobs", strings.Join(p.shelf.able(), " and "))
	}
	if err := p.shelf.why(kind); err != nil {
		p.Log.Info("executor can't run jobs", "kind", kind, "why", err)
		return wire.Refuse(wire.Busy, "%s jobs can't run here now", kind).After(p.CheckEvery)
	}
	return nil
}

// check asks every executor whether jobs can run, and says so in the offers.
func (p *Provider) check(ctx context.Context) {
	for _, kind := range p.shelf.kinds {
		limited, cancel := context.WithTimeout(ctx, CheckTimeout)
		err := p.shelf.byID[kind].Check(limited)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = p.findAgain(ctx, kind)
		}
		if !p.shelf.note(kind, err) {
			continue
		}
		p.freeChanged()
		text := kind + " jobs can run (again)"
		if err != nil {
			text = fmt.Sprintf("%s jobs can't run: %v", kind, err)
		}
		p.Notify(Event{At: p.Now(), Kind: Trouble, Text: text})
	}
}

// checkOn checks the executors until the provider closes.
func (p *Provider) checkOn() {
	t := time.NewTicker(p.CheckEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.check(p.ctx)
		case <-p.ctx.Done():
			return
		}
	}
}

// recoverAll finds what every executor ran before. One that can't run jobs
// now is asked again when it can; what it ran counts as lost meanwhile, and
// that is only worth a warning where a lease is live that it may have run.
func (p *Provider) recoverAll(ctx context.Context, live []ledger.Lease) (map[string]executor.Execution, error) {
	execs := map[string]executor.Execution{}
	for _, kind := range p.shelf.kinds {
		e := p.shelf.byID[kind]
		found, err := e.Recover(ctx)
		if err != nil {
			if e.Check(ctx) == nil {
				return nil, fmt.Errorf("find %s executions of before: %w", kind, err)
			}
			level := slog.LevelDebug
			if slices.ContainsFunc(live, func(l ledger.Lease) bool { return kindOf(l) == kind }) {
				level = slog.LevelWarn
			}
			p.Log.Log(ctx, level, "executions of before can't be looked for", "kind", kind, "err", err)
			p.shelf.unfound[kind] = true
		}
		for _, x := range found {
			execs[x.ID()] = x
		}
	}
	return execs, nil
}

// kindOf is the kind of a lease's job, empty where that can't be read.
func kindOf(l ledger.Lease) string {
	job, err := market.DecodeJob(l.Job)
	if err != nil {
		return ""
	}
	return job.Kind()
}

// findAgain ends what an executor that couldn't be asked at the start has
// left: its leases have ended without it.
func (p *Provider) findAgain(ctx context.Context, kind string) error {
	if !p.shelf.lost(kind) {
		return nil
	}
	found, err := p.shelf.byID[kind].Recover(ctx)
	if err != nil {
		return err
	}
	for _, x := range found {
		p.dropLeftOver(ctx, x)
	}
	p.shelf.mu.Lock()
	defer p.shelf.mu.Unlock()
	delete(p.shelf.unfound, kind)
	return nil
}

func (p *Provider) dropLeftOver(ctx context.Context, e executor.Execution) {
	if err := errors.Join(e.Stop(ctx), e.Remove()); err != nil {
		p.Log.Warn("left-over execution", "id", e.ID(), "err", err)
	}
}
