package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/capacity"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
)

// Start takes up what a former process of this node left: executions that
// still run go on, the others end as provider_failed, and nothing of the
// machine stays held that no lease holds.
func (p *Provider) Start(ctx context.Context) error {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return err
	}
	if err := p.dropParts(); err != nil { // before any lease that is taken up keeps its log
		return err
	}
	var live []ledger.Lease
	err := p.Ledger.View(ctx, func(tx *ledger.Tx) error {
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
	execs, err := p.recoverAll(ctx, live)
	if err != nil {
		return err
	}
	for _, rec := range live {
		if err := p.takeUp(ctx, rec, execs); err != nil {
			return err
		}
	}
	for _, e := range execs { // of no live lease
		p.dropLeftOver(ctx, e)
	}
	if err := p.askForLast(live); err != nil {
		return err
	}
	p.check(ctx)
	if err := p.forgetOld(ctx); err != nil {
		return err
	}
	p.spawn(p.janitor)
	p.spawn(p.checkOn)
	p.spawn(p.learn)
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
	if books.Over(rec.State) { // only the last countersignature is missing
		return nil
	}
	exec := execs[l.hash.Hex()]
	p.add(l)
	var lacking error
	if l.held, lacking = p.restore(rec, l.quote); lacking != nil {
		p.Log.Warn("the machine hasn't what the lease holds any more", "lease", l.hash, "err", lacking)
	} else {
		l.devices = l.held.Devices()
	}
	if exec != nil && (rec.State != market.Running || neverStarted(exec)) { // prepared at most
		delete(execs, exec.ID())
		p.dropLeftOver(ctx, exec)
		exec = nil
	}
	step := l.run
	switch {
	case exec != nil:
		delete(execs, exec.ID())
		l.exec = resumed(exec, rec, l.quote)
	case rec.State == market.Running:
		step = func(ctx context.Context) error { return l.failed(ctx, errors.New("the process was lost in a restart")) }
	case lacking != nil:
		step = func(ctx context.Context) error { return l.failed(ctx, lacking) }
	default:
		step = l.prepare
	}
	p.start(l, step)
	p.spawn(func() { l.exchange(p.ctx) })
	return nil
}

// neverStarted tells of a process that was prepared and will never end.
func neverStarted(e executor.Execution) bool {
	select {
	case <-e.Done():
		return false
	default:
		u := e.Usage()
		return !u.Running && u.Ran == 0
	}
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
	l := p.newLease(rec.Hash, client, q, t, j)
	l.rec = rec
	return l, errors.Join(err1, err2, err3)
}

func (p *Provider) restore(rec ledger.Lease, q market.Quote) (*capacity.Reservation, error) {
	var h capacity.Holding
	if err := json.Unmarshal(rec.Holding, &h); err != nil {
		return nil, err
	}
	return p.Capacity.Restore(q.Nonce.Hex(), h)
}
