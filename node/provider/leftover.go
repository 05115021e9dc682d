package provider

import (
	"sync"

	"souk/node/executor"
)

// leftOvers are executions that ended and couldn't be removed, because Docker
// was away, say. They are tried again until it works; a restart finds what is
// left of them too.
type leftOvers struct {
	mu  sync.Mutex
	all []executor.Execution
}

func (o *leftOvers) add(e executor.Execution) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, e)
}

func (o *leftOvers) take() []executor.Execution {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.all
	o.all = nil
	return all
}

// discard removes what an execution that has ended left, now or as soon as that works.
func (p *Provider) discard(e executor.Execution) error {
	err := e.Remove()
	if err != nil {
		p.leftOvers.add(e)
	}
	return err
}

// sweepLeftOvers tries again.
func (p *Provider) sweepLeftOvers() {
	for _, e := range p.leftOvers.take() {
		if err := p.discard(e); err != nil {
			p.Log.Debug("an execution can't be removed yet", "id", e.ID(), "err", err)
		} else {
			p.Log.Info("removed what an execution left", "id", e.ID())
		}
	}
}
