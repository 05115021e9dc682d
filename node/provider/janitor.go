package provider

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// How often what ran out is swept up: quotes and what couldn't be removed, and what is costlier to look
// for (leases that nobody came back to, their logs, blobs without a pin).
const (
	quotesEvery = 10 * time.Second
	restEvery   = 10 * time.Minute
)

// maxClosing is the most leases that one sweep closes.
const maxClosing = 1000

func (p *Provider) janitor() {
	quotes, rest := time.NewTicker(quotesEvery), time.NewTicker(restEvery)
	defer quotes.Stop()
	defer rest.Stop()
	for {
		var err error
		select {
		case <-quotes.C:
			err = p.sweepQuotes(p.ctx)
			p.sweepLeftOvers()
		case <-rest.C:
			err = p.Sweep(p.ctx)
		case <-p.ctx.Done():
			return
		}
		if err != nil && p.ctx.Err() == nil {
			p.Log.Error("sweep", "err", err)
		}
	}
}

// Sweep closes the leases whose last receipt nobody came for until keepUntil,
// and deletes the logs and blobs whose time is over. It also runs by itself.
func (p *Provider) Sweep(ctx context.Context) error {
	_, err := p.Blobs.Collect(ctx, p.Now())
	return errors.Join(p.closeLate(ctx), p.dropLogs(ctx), err)
}

// sweepQuotes drops the quotes that ran out. One that was accepted stays, so
// that a repeated accept gets its answer; a void one can't be accepted any
// more once it isn't known.
func (p *Provider) sweepQuotes(ctx context.Context) error {
	gone := p.quotes.sweep(p.Now())
	if len(gone) == 0 {
		return nil
	}
	return p.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		for _, h := range gone {
			q, err := tx.Quote(h)
			if errors.Is(err, ledger.ErrNotFound) || err == nil && !q.Lease.IsZero() {
				continue
			}
			if err := errors.Join(err, tx.DeleteQuote(h)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *Provider) closeLate(ctx context.Context) error {
	var late []*lease
	err := p.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for rec, err := range tx.LiveLeases(ledger.Provider) {
			if err != nil {
				return err
			}
			if rec.State != market.Finishing {
				continue
			}
			if l, err := p.revive(rec); err == nil && !p.Now().Before(l.keepUntil()) {
				late = append(late, l)
			}
			if len(late) == maxClosing {
				break
			}
		}
		return nil
	})
	for _, l := range late {
		if m := p.lease(l.hash); m != nil {
			l = m // a stream is attached
		}
		err = errors.Join(err, l.step(ctx, market.Close))
	}
	return err
}

const (
	logSuffix  = ".log"
	partSuffix = ".part"
)

// dropLogs deletes the kept logs of leases whose time is over, or that the
// books don't know.
func (p *Provider) dropLogs(ctx context.Context) error {
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), logSuffix)
		raw, bad := hex.DecodeString(name)
		h, wrong := market.HashFrom(raw)
		if !ok || bad != nil || wrong != nil {
			continue
		}
		keep, err := p.keepsLog(ctx, h)
		if err != nil {
			return err
		}
		if !keep {
			if err := os.Remove(p.logPath(h)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (p *Provider) keepsLog(ctx context.Context, h market.Hash) (keep bool, err error) {
	err = p.Ledger.View(ctx, func(tx *ledger.Tx) error {
		rec, err := tx.Lease(ledger.Provider, h)
		if err != nil {
			return err
		}
		t, err := market.DecodeTerms(rec.Terms)
		keep = !books.Over(rec.State) || p.nowMillis() < t.KeepUntil
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	return keep, err
}

// dropParts deletes what a crash left of logs that were being kept.
func (p *Provider) dropParts() error {
	entries, err := os.ReadDir(p.Dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), logSuffix+partSuffix) {
			err = errors.Join(err, os.Remove(filepath.Join(p.Dir, e.Name())))
		}
	}
	return err
}
