package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/blob"
	protoblob "souk/protocol/blob"
	"souk/protocol/wire"
)

// progressEvery is the time between two events on a transfer.
const progressEvery = 100 * time.Millisecond

// errOwn is a transfer that this node itself can't go on with.
var errOwn = errors.New("this node can't store or read the data")

// errNotTaken is a provider that takes no inputs.
var errNotTaken = errors.New("the provider doesn't take the inputs")

// sendInputs puts the module and the inputs, those that the provider has
// already cost nothing. It tries on until all are there, ctx ends, or for
// Times.Lost nothing of them was taken.
func (x *execution) sendInputs(ctx context.Context) error {
	what := "module"
	if x.job.Image != nil {
		what = "image"
	}
	if program := x.job.Program(); program.Defined() {
		if err := x.send(ctx, what, program); err != nil {
			return err
		}
	}
	for _, in := range x.job.Inputs {
		if err := x.send(ctx, "input", in.CID); err != nil {
			return err
		}
	}
	if ctx.Err() == nil {
		x.inputsSent = true
	}
	return nil
}

func (x *execution) send(ctx context.Context, what string, root cid.Cid) error {
	size, err := x.e.sizeOf(ctx, root)
	if err != nil {
		return err
	}
	source := func(skip int) protoblob.Source { return x.e.blocks(ctx, root, skip) }
	moved := x.e.cfg.Clock.Mono() // when something was last taken
	told := x.progress(what, size)
	for wait := x.e.cfg.Times.Redial; ; wait = min(2*wait, maxRedial) {
		err := protoblob.Put(ctx, x.e.cfg.Host, x.peer, x.hash, root, source, func(n int64) {
			moved = x.e.cfg.Clock.Mono()
			told(n)
		})
		var r *wire.Refusal
		switch {
		case err == nil:
			x.r.emit(Event{Kind: Transfer, Attempt: x.attempt, What: what, Done: size, Total: size})
			return nil
		case ctx.Err() != nil, errors.As(err, &r) && r.Code == wire.WrongState:
			return nil // the conversation is over, or the lease takes no inputs any more
		case errors.Is(err, blob.ErrNotFound):
			return fmt.Errorf("%w: %w", errOwn, err)
		case x.e.cfg.Clock.Mono()-moved > x.e.cfg.Times.Lost:
			return fmt.Errorf("%w: %w", errNotTaken, err)
		}
		x.e.cfg.Log.Debug("an input didn't arrive", "lease", x.hash, "root", root, "err", err)
		if !pause(ctx, wait, nil) {
			return nil
		}
	}
}

// blocks are a local DAG's, as protocol/blob sends them.
func (e *Engine) blocks(ctx context.Context, root cid.Cid, skip int) protoblob.Source {
	return e.space.Source(ctx, root, skip, blob.Limits{})
}

// sizeOf is the bytes of a DAG's blocks. It wraps blob.ErrNotFound if it is not all here.
func (e *Engine) sizeOf(ctx context.Context, root cid.Cid) (int64, error) {
	r, err := blob.NewReceiver(ctx, e.space, root, blob.Limits{})
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }() // it wrote nothing
	if !r.Complete() {
		return 0, fmt.Errorf("%w: %s is not all here", blob.ErrNotFound, root)
	}
	return r.Bytes(), nil
}

// progress makes events of a transfer, not too many.
func (x *execution) progress(what string, total int64) protoblob.Progress {
	last := x.e.cfg.Clock.Mono()
	return func(moved int64) {
		if now := x.e.cfg.Clock.Mono(); now-last >= progressEvery {
			last = now
			x.r.emit(Event{Kind: Transfer, Attempt: x.attempt, What: what, Done: moved, Total: total})
		}
	}
}

// sink puts blocks into a receiver of the blob store.
type sink struct{ *blob.Receiver }

func (s sink) Accept(block []byte) error { return ownOr(s.Receiver.Accept(block)) }

// ownOr says in protocol/blob's words whose fault a failed block is.
func ownOr(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, blob.ErrInvalid):
		return fmt.Errorf("%w: %w", protoblob.ErrGarbage, err)
	case errors.Is(err, blob.ErrTooLarge):
		return fmt.Errorf("%w: %w", protoblob.ErrOverLimit, err)
	default:
		return own(err)
	}
}

func own(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", errOwn, err)
}
