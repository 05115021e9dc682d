package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"souk/node/jobfile"
	"souk/protocol/market"
)

// Plans that nobody submits are forgotten after planLife, or when there are too many.
const (
	planLife = 10 * time.Minute
	maxPlans = 64
)

// planned is a plan with what it was made of.
type planned struct {
	plan       Plan
	candidates []*candidate
	made       time.Duration
}

// priceLimit is the highest price that the user was shown as leasable.
func (p *planned) priceLimit() (most market.Amount) {
	for _, c := range p.candidates {
		if c.fits() && c.quoted != nil {
			most = market.MaxAmount(most, c.quoted.Quote.PricePerHour())
		}
	}
	return most
}

type plans struct {
	mu   sync.Mutex
	byID map[string]*planned
}

func (p *plans) add(new *planned) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = map[string]*planned{}
	}
	oldest := ""
	for id, old := range p.byID {
		if new.made-old.made > planLife {
			delete(p.byID, id)
		} else if oldest == "" || old.made < p.byID[oldest].made {
			oldest = id
		}
	}
	if len(p.byID) >= maxPlans {
		delete(p.byID, oldest)
	}
	p.byID[new.plan.ID] = new
}

// take gives a plan away, nil if it isn't known any more.
func (p *plans) take(id string) *planned {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.byID[id]
	delete(p.byID, id)
	return found
}

// Offers lists who could be leased for a need, best first, and why not the
// others. It asks for no quote.
func (e *Engine) Offers(ctx context.Context, n Need) ([]Candidate, error) {
	cs, err := e.candidates(ctx, n.withDefaults())
	return show(cs), err
}

// Plan considers providers for a job and asks the best for quotes, which it
// keeps for Submit as long as they are good. A plan without anybody to lease
// is no error: its Code and Summary say why. The error is about the job's own
// files, or ctx.
func (e *Engine) Plan(ctx context.Context, s jobfile.Spec) (Plan, error) {
	size, err := e.inputBytes(ctx, s)
	if err != nil {
		return Plan{}, err
	}
	n := needOf(s, size, s.Total)
	cs, err := e.consider(ctx, n)
	if err != nil {
		return Plan{}, err
	}
	p := &planned{plan: e.planOf(cs, n, s.Retries+1), candidates: cs, made: e.cfg.Clock.Mono()}
	e.plans.add(p)
	return p.plan, nil
}

func (e *Engine) planOf(cs []*candidate, n Need, executions int) Plan {
	code, summary := summarize(e.cfg.Network, cs, n)
	return Plan{ID: randomID(8), Candidates: show(cs), Summary: summary, Code: string(code), WorstCost: worstCost(cs, executions, n)}
}

// needOf is what a job needs, with what is left of its total.
func needOf(s jobfile.Spec, inputBytes int64, left market.Amount) Need {
	n := Need{
		Executor: s.Kind(), CPU: s.CPU, Memory: s.Memory, Disk: s.Disk, GPU: s.GPU, AllowSimulated: s.AllowSimulated, Exclusive: s.Exclusive, Region: s.Region,
		Time: s.Time, Price: s.Price, Total: &left, InputBytes: inputBytes,
		Egress: s.Egress, Challenge: s.Verify.Challenge,
	}
	if s.Image != nil {
		n.Platform = s.Image.Platform
	}
	return n.withDefaults()
}

func randomID(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
