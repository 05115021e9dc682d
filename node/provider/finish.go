package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ipfs/go-cid"

	"souk/node/blob"
	"souk/node/books"
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
	l.forgetProcess()
	return l.p.discard(exec)
}

// forgetProcess makes streams read the kept log from here on.
func (l *lease) forgetProcess() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exec = nil
	l.wakeLocked()
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

// end signs the last receipt of a lease that has no process.
func (l *lease) end(ctx context.Context, outcome market.Outcome, r executor.Result) error {
	return l.endWith(ctx, outcome, r, executor.Usage{}, nil)
}

// endWith gives the machine back and signs the last receipt, if need be after
// the channel's status was exchanged. A client that is never heard of again
// until keepUntil gets none.
func (l *lease) endWith(ctx context.Context, outcome market.Outcome, r executor.Result, u executor.Usage, outputs *cid.Cid) error {
	l.giveBack()
	if heard, err := l.awaitExchange(ctx); err != nil || !heard {
		return errors.Join(err, l.abandon(ctx, outcome))
	}
	body := l.body(u)
	body.Cause, body.Detail, body.Outputs = string(r.Cause), clip(r.Detail), outputs
	if r.Cause == executor.Exited {
		body.ExitCode = &r.ExitCode
	}
	st := books.Statement{Outcome: outcome, Units: uint64(r.Ran.Milliseconds()), Detail: body.Detail} //nolint:gosec // positive
	if outputs != nil {
		st.Outputs = outputs.String()
	}
	charged, err := l.sign(ctx, st, body)
	if errors.Is(err, books.ErrEnded) {
		return l.reload(ctx)
	}
	if err != nil {
		return err
	}
	l.p.Notify(Event{At: l.p.Now(), Kind: Ended, Peer: l.peer.String(), Lease: l.hash.Hex(), Outcome: outcome.String(), Charged: &charged, Text: body.Detail})
	return nil
}

// abandon closes a lease without a last receipt.
func (l *lease) abandon(ctx context.Context, outcome market.Outcome) error {
	if ctx.Err() != nil {
		return nil // the node closes; a later start goes on from here
	}
	return l.update(ctx, func(_ *ledger.Tx, rec *ledger.Lease) error {
		ended, err := books.Abandon(*rec, outcome, l.p.nowMillis())
		if errors.Is(err, books.ErrEnded) {
			return errUnchanged
		}
		*rec = ended
		return err
	})
}

// sign signs the lease's next receipt and gives the charge in it. Receipt, mark
// and channel are one durable write; the client sees the receipt only
// afterwards. It is books.ErrEnded if there is a last receipt already.
func (l *lease) sign(ctx context.Context, st books.Statement, body market.Body) (charged market.Amount, err error) {
	if st.Body, err = body.Encode(); err != nil {
		return charged, err
	}
	err = l.update(ctx, func(tx *ledger.Tx, rec *ledger.Lease) error {
		ch, err := tx.Channel(ledger.Provider, l.channel)
		if err != nil {
			return err
		}
		w, err := l.p.side.Sign(*rec, ch, l.quote, st, l.p.nowMillis())
		if err != nil {
			return err
		}
		charged = w.Lease.Newest.Charged
		return w.StoreBut(tx, rec)
	})
	if err == nil && st.Outcome == market.NotEnded {
		l.p.Notify(Event{At: l.p.Now(), Kind: Ticked, Peer: l.peer.String(), Lease: l.hash.Hex(), Charged: &charged})
	}
	return charged, err
}

// clip keeps a sentence in a receipt's body short.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 512)], "") }
