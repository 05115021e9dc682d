package blob

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"

	protocol "souk/protocol/blob"
)

// Source is Walk for /souk/blob: a DAG without its first skip blocks.
func (s *Space) Source(ctx context.Context, root cid.Cid, skip int, l Limits) protocol.Source {
	return func(yield func([]byte, error) bool) {
		r := reader{s: s}
		defer r.close()
		for b, err := range s.walk(ctx, root, skip, l, r.get) {
			if !yield(b.Data, spoken(err)) {
				return
			}
		}
	}
}

// Sink is a Receiver for /souk/blob, and says in its words what is wrong.
type Sink struct{ *Receiver }

// NewSink is NewReceiver for /souk/blob.
func NewSink(ctx context.Context, s *Space, root cid.Cid, l Limits) (Sink, error) {
	r, err := NewReceiver(ctx, s, root, l)
	return Sink{r}, blame(err)
}

// Accept is Receiver.Accept.
func (k Sink) Accept(block []byte) error { return blame(k.Receiver.Accept(block)) }

// blame is spoken for what a peer sent.
func blame(err error) error {
	if errors.Is(err, ErrInvalid) {
		return fmt.Errorf("%w: %w", protocol.ErrGarbage, err)
	}
	return spoken(err)
}

// spoken adds the protocol's word for an error.
func spoken(err error) error {
	switch {
	case absent(err):
		return fmt.Errorf("%w: %w", protocol.ErrMissing, err)
	case errors.Is(err, ErrTooLarge):
		return fmt.Errorf("%w: %w", protocol.ErrOverLimit, err)
	case errors.Is(err, ErrQuota):
		return fmt.Errorf("%w: %w", protocol.ErrNoRoom, err)
	default:
		return err
	}
}
