package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"

	"souk/node/blob"
	protoblob "souk/protocol/blob"
	"souk/protocol/wire"
)

const (
	withheldTries = 3                      // times that a provider may say that it lacks a block
	progressEvery = 100 * time.Millisecond // between two events on a transfer
	goneFactor    = 3                      // how much longer a peer that isn't connected may take
	maxFetch      = 6 * time.Hour          // for all of a lease's outputs, however slow
)

// errOwn is a transfer that this node itself can't go on with.
var errOwn = errors.New("this node can't store or read the data")

// errWithheld is outputs that the provider names but doesn't give.
var errWithheld = errors.New("the outputs are withheld")

// sendInputs puts the module and the inputs, those that the provider has
// already cost nothing. It tries on until all are there or ctx ends.
func (x *execution) sendInputs(ctx context.Context) error {
	if err := x.send(ctx, "module", x.job.WASM); err != nil {
		return err
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
	for wait := x.e.cfg.Times.Redial; ; wait = min(2*wait, maxRedial) {
		err := protoblob.Put(ctx, x.e.cfg.Host, x.peer, x.hash, root, source, x.progress(what, size))
		var r *wire.Refusal
		switch {
		case err == nil:
			x.r.emit(Event{Kind: Transfer, Attempt: x.attempt, What: what, Done: size, Total: size})
			return nil
		case ctx.Err() != nil, errors.As(err, &r) && r.Code == wire.WrongState:
			return nil // the conversation is over, or the lease takes no inputs any more
		case errors.Is(err, blob.ErrNotFound):
			return fmt.Errorf("%w: %w", errOwn, err)
		}
		x.e.cfg.Log.Debug("an input didn't arrive", "lease", x.hash, "root", root, "err", err)
		if !pause(ctx, wait, nil) {
			return nil
		}
	}
}

// blocks are a local DAG's, as protocol/blob sends them.
func (e *Engine) blocks(ctx context.Context, root cid.Cid, skip int) protoblob.Source {
	return func(yield func([]byte, error) bool) {
		for b, err := range e.space.Walk(ctx, root, skip, blob.Limits{}) {
			if !yield(b.Data, err) {
				return
			}
		}
	}
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

// fetch brings a lease's outputs. errWithheld: the provider doesn't give
// them, or gives something else; errOwn: this node can't store them. Its
// patience counts over all conversations, so that breaking them off buys none.
func (x *execution) fetch(ctx context.Context, root cid.Cid) error {
	if x.fetching == 0 {
		x.fetching = x.e.cfg.Clock.Mono()
		x.fetchMoved = x.fetching
	}
	for {
		moved, err := x.fetchOnce(ctx, root)
		if moved {
			x.fetchMoved, x.fetchDenied = x.e.cfg.Clock.Mono(), 0
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, errOwn) || x.givenUp(&err) {
			return err
		}
		if !pause(ctx, x.e.cfg.Times.Redial, nil) {
			return ctx.Err()
		}
	}
}

// givenUp tells that a failed fetch was the last one, and why in err.
func (x *execution) givenUp(err *error) bool {
	now := x.e.cfg.Clock.Mono()
	denied := errors.Is(*err, protoblob.ErrWithheld)
	if denied {
		x.fetchDenied++
	}
	patience := x.e.cfg.Times.Lost
	if x.e.cfg.Host.Network().Connectedness(x.peer) != network.Connected {
		patience *= goneFactor // rather gone than withholding
	}
	if errors.Is(*err, protoblob.ErrGarbage) || errors.Is(*err, protoblob.ErrOverLimit) || (denied && x.fetchDenied >= withheldTries) ||
		now-x.fetchMoved >= patience || now-x.fetching >= maxFetch {
		*err = fmt.Errorf("%w: %w", errWithheld, *err)
		return true
	}
	return false
}

// fetchOnce asks for what is missing and tells whether any block came. It
// ends when nothing moves for Times.Lost.
func (x *execution) fetchOnce(ctx context.Context, root cid.Cid) (moved bool, err error) {
	// Inner nodes and folders come on top of the content that MaxOutput counts.
	limits := blob.Limits{Bytes: x.terms.MaxOutput + x.terms.MaxOutput/64 + blob.MaxBlock}
	r, err := blob.NewReceiver(ctx, x.e.space, root, limits)
	if err != nil {
		return false, ownOr(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(x.e.cfg.Times.Lost, cancel)
	defer idle.Stop()
	show := x.progress("output", 0)
	before := r.Bytes()
	err = protoblob.Get(ctx, x.e.cfg.Host, x.peer, x.hash, root, sink{r}, func(n int64) {
		idle.Reset(x.e.cfg.Times.Lost)
		x.alive()
		show(n)
	})
	if err == nil {
		size := r.Bytes()
		err = own(x.e.space.Pin(root, x.e.cfg.Clock.Now().Add(x.e.cfg.Times.Keep)))
		x.r.emit(Event{Kind: Transfer, Attempt: x.attempt, What: "output", Done: size, Total: size})
	}
	return r.Bytes() > before, errors.Join(err, own(r.Close()))
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
