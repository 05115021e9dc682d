package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/blob"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
)

// finish keeps what the job left, signs the last receipt, and gives the
// machine back. Each step may come again after a crash.
func (l *lease) finish(ctx context.Context, exec executor.Execution, outcome market.Outcome, r executor.Result) error {
	outputs, err := l.keepOutputs(ctx, exec)
	switch {
	case errors.Is(err, blob.ErrTooLarge), errors.Is(err, blob.ErrRefused):
		outcome, r.Cause, r.Detail = spoiled(outcome), executor.LimitDisk, fmt.Sprintf("the outputs can't be brought back: %v", err)
	case err != nil:
		l.p.Log.Error("outputs lost", "lease", l.hash, "err", err)
		outcome, r.Detail = market.ProviderFailed, "the provider could not store the outputs"
	}
	if err := l.keepLog(ctx, exec); err != nil {
		l.p.Log.Error("log lost", "lease", l.hash, "err", err)
	}
	if err := l.endWith(ctx, outcome, r, exec.Usage(), outputs); err != nil {
		return err
	}
	l.mu.Lock()
	l.exec = nil // streams read the kept log from here on
	l.wakeLocked()
	l.mu.Unlock()
	return exec.Remove()
}

// spoiled is the outcome of a job whose outputs broke a leased limit.
func spoiled(o market.Outcome) market.Outcome {
	if o == market.Succeeded {
		return market.JobFailed
	}
	return o
}

func (l *lease) keepOutputs(ctx context.Context, exec executor.Execution) (*cid.Cid, error) {
	dir := exec.OutputDir()
	if dir == "" {
		return nil, nil
	}
	s, err := l.space()
	if err != nil {
		return nil, err
	}
	root, size, err := blob.AddPath(ctx, s, dir, nil)
	if err != nil {
		return nil, err
	}
	if size > l.terms.MaxOutput {
		return nil, fmt.Errorf("%w: outputs of %d bytes, %d were leased", blob.ErrTooLarge, size, l.terms.MaxOutput)
	}
	return &root, s.Pin(root, l.keepUntil())
}

func (l *lease) keepUntil() time.Time { return time.UnixMilli(int64(min(l.terms.KeepUntil, 1<<62))) } //nolint:gosec // capped

// end signs the last receipt of a lease that has no process.
func (l *lease) end(ctx context.Context, outcome market.Outcome, r executor.Result) error {
	return l.endWith(ctx, outcome, r, executor.Usage{}, nil)
}

func (l *lease) endWith(ctx context.Context, outcome market.Outcome, r executor.Result, u executor.Usage, outputs *cid.Cid) error {
	rec, _, _ := l.snapshot()
	units := max(rec.Newest.Units, min(uint64(r.Ran.Milliseconds()), l.quote.MaxMillis)) //nolint:gosec // positive
	charged := rec.Newest.Charged
	if rec.Started > 0 && outcome != market.ProviderFailed {
		charged = market.MaxAmount(charged, l.quote.Charge(units))
	}
	body := bodyOf(u, l.terms)
	body.Cause, body.Detail, body.Outputs = string(r.Cause), clip(r.Detail), outputs
	if r.Cause == executor.Exited {
		body.ExitCode = &r.ExitCode
	}
	err := l.sign(ctx, outcome, units, charged, body, func(rec *ledger.Lease) error {
		rec.Reason, rec.Ended = body.Detail, l.p.nowMillis()
		if outputs != nil {
			rec.Outputs = outputs.String()
		}
		next, err := market.Next(rec.State, market.End, l.moment())
		rec.State = next
		return err
	})
	if err != nil {
		return err
	}
	l.giveBack()
	l.p.Notify(Event{At: l.p.Now(), Kind: Ended, Peer: l.peer.String(), Lease: l.hash.Hex(), Outcome: outcome.String(), Charged: &charged, Text: body.Detail})
	return nil
}

// sign signs the lease's next receipt. Receipt, mark and channel are one
// durable write; the client sees the receipt only afterwards.
func (l *lease) sign(ctx context.Context, outcome market.Outcome, units uint64, charged market.Amount, body market.Body, with func(*ledger.Lease) error) error {
	block, err := body.Encode()
	if err != nil {
		return err
	}
	err = l.update(ctx, func(tx *ledger.Tx, rec *ledger.Lease) error {
		r := market.Receipt{
			Lease: l.hash, Seq: rec.Newest.Seq + 1, Previous: rec.Newest.Hash, Units: units, Charged: charged, Outcome: outcome, BodyHash: market.BlockHash(block),
		}
		sig, err := l.p.signer.Sign(l.p.chain.Digest(r.Hash()))
		if err != nil {
			return err
		}
		ch, err := tx.Channel(ledger.Provider, l.channel)
		if err != nil {
			return err
		}
		ch.Signed = ch.Signed.Add(charged).Sub(rec.Newest.Charged)
		rec.Newest = ledger.Mark{Seq: r.Seq, Hash: r.Hash(), Units: units, Charged: charged}
		rec.Outcome = outcome
		if with != nil {
			if err := with(rec); err != nil {
				return err
			}
		}
		return errors.Join(tx.PutChannel(ch), tx.PutReceipt(ledger.Provider, ledger.Receipt{
			Lease: l.hash, Seq: r.Seq, Block: r.Encode(), ProviderSignature: sig[:], Body: block,
		}))
	})
	if err == nil && outcome == market.NotEnded {
		l.p.Notify(Event{At: l.p.Now(), Kind: Ticked, Peer: l.peer.String(), Lease: l.hash.Hex(), Charged: &charged})
	}
	return err
}

func bodyOf(u executor.Usage, t market.Terms) market.Body {
	b := market.Body{LogBytes: u.Log, CPUMillis: u.CPU.Milliseconds(), PeakMemory: u.Memory}
	for _, d := range t.Devices {
		b.Simulated = b.Simulated || d.Evidence == market.Simulated
	}
	return b
}

// clip keeps a sentence in a receipt's body short.
func clip(s string) string { return s[:min(len(s), 512)] }
