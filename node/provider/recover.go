package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/capacity"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
)

// janitorEvery is how often what ran out is swept up.
const janitorEvery = 10 * time.Second

// Start takes up what a former process of this node left: executions that
// still run go on, the others end as provider_failed, and nothing of the
// machine stays held that no lease holds.
func (p *Provider) Start(ctx context.Context) error {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return err
	}
	found, err := p.Executor.Recover(ctx)
	if err != nil {
		return fmt.Errorf("find executions of before: %w", err)
	}
	execs := map[string]executor.Execution{}
	for _, e := range found {
		execs[e.ID()] = e
	}
	var live []ledger.Lease
	err = p.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for rec, err := range tx.LiveLeases(ledger.Provider) {
			if err != nil {
				return err
			}
			live = append(live, rec)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, rec := range live {
		if err := p.takeUp(ctx, rec, execs); err != nil {
			return err
		}
	}
	for _, e := range execs { // of no live lease
		if err := errors.Join(e.Stop(ctx), e.Remove()); err != nil {
			p.Log.Warn("left-over execution", "id", e.ID(), "err", err)
		}
	}
	if err := p.forgetOld(ctx); err != nil {
		return err
	}
	p.wg.Go(p.janitor)
	return nil
}

// forgetOld drops the quotes that ran out before or while the node was down.
func (p *Provider) forgetOld(ctx context.Context) error {
	return p.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		var old []market.Hash
		for q, err := range tx.Quotes() {
			if err != nil {
				return err
			}
			if q.Lease.IsZero() && q.ExpiresAt < p.nowMillis() {
				old = append(old, q.Hash)
			}
		}
		for _, h := range old {
			if err := tx.DeleteQuote(h); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeUp goes on with one lease after a restart. It takes the lease's
// execution out of execs.
func (p *Provider) takeUp(ctx context.Context, rec ledger.Lease, execs map[string]executor.Execution) error {
	l, err := p.revive(rec)
	if err != nil {
		return fmt.Errorf("lease %s: %w", rec.Hash, err)
	}
	exec := execs[l.hash.Hex()]
	p.add(l)
	if rec.State == market.Finishing { // only the last countersignature is missing
		return nil
	}
	l.held, err = p.restore(rec, l.quote)
	if err != nil {
		p.Log.Warn("the machine hasn't what the lease holds any more", "lease", l.hash, "err", err)
	}
	if rec.State != market.Running {
		if exec != nil { // prepared, never started: it is prepared again
			delete(execs, exec.ID())
			if err := errors.Join(exec.Stop(ctx), exec.Remove()); err != nil {
				return err
			}
		}
		p.start(l, l.prepare)
		return nil
	}
	if exec == nil {
		p.start(l, func(ctx context.Context) error { return l.failed(ctx, errors.New("the process was lost in a restart")) })
		return nil
	}
	delete(execs, exec.ID())
	l.exec = exec
	p.start(l, l.run)
	return nil
}

// revive makes a lease from its record.
func (p *Provider) revive(rec ledger.Lease) (*lease, error) {
	client, err := peer.Decode(rec.Peer)
	if err != nil {
		return nil, err
	}
	q, err1 := market.DecodeQuote(rec.Quote)
	t, err2 := market.DecodeTerms(rec.Terms)
	j, err3 := market.DecodeJob(rec.Job)
	l := &lease{p: p, hash: rec.Hash, channel: rec.Channel, peer: client, quote: q, terms: t, job: j, rec: rec, changed: make(chan struct{})}
	return l, errors.Join(err1, err2, err3)
}

func (p *Provider) restore(rec ledger.Lease, q market.Quote) (*capacity.Reservation, error) {
	var h capacity.Holding
	if err := json.Unmarshal(rec.Holding, &h); err != nil {
		return nil, err
	}
	return p.Capacity.Restore(q.Nonce.Hex(), h)
}

// janitor sweeps up quotes that ran out and leases whose outputs nobody came for.
func (p *Provider) janitor() {
	t := time.NewTicker(janitorEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := p.sweep(p.ctx); err != nil && p.ctx.Err() == nil {
				p.Log.Error("sweep", "err", err)
			}
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *Provider) sweep(ctx context.Context) error {
	for _, h := range p.quotes.sweep(p.Now()) {
		if err := p.forget(ctx, h); err != nil {
			return err
		}
	}
	p.mu.Lock()
	var late []*lease
	for _, l := range p.leases {
		late = append(late, l)
	}
	p.mu.Unlock()
	for _, l := range late {
		if !l.stateIs(market.Finishing) || p.Now().Before(l.keepUntil()) {
			continue
		}
		if err := l.step(ctx, market.Close); err != nil {
			return err
		}
		p.remove(l)
		if err := os.Remove(p.logPath(l.hash)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	_, err := p.Blobs.Collect(ctx, p.Now())
	return err
}

// forget drops a quote that ran out. One that was accepted stays, so that a
// repeated accept gets its answer; so does a void one, for as long as a
// client could still try it.
func (p *Provider) forget(ctx context.Context, h market.Hash) error {
	return p.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		q, err := tx.Quote(h)
		if errors.Is(err, ledger.ErrNotFound) || (err == nil && (q.Void || !q.Lease.IsZero())) {
			return nil
		}
		return errors.Join(err, tx.DeleteQuote(h))
	})
}
