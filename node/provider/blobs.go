package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	wireblob "souk/protocol/blob"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// Source gives a lease's outputs to its client.
func (p *Provider) Source(ctx context.Context, client peer.ID, h market.Hash, root cid.Cid, skip int) (wireblob.Source, error) {
	l, err := p.find(ctx, client, h)
	if err != nil {
		return nil, err
	}
	rec, _, _ := l.snapshot()
	if rec.Outputs == "" || rec.Outputs != root.String() {
		return nil, wire.Refuse(wire.Unknown, "%s isn't what this lease brings back", root)
	}
	s, err := l.space()
	if err != nil {
		return nil, err
	}
	return s.Source(ctx, root, skip, blob.Limits{}), nil
}

// Sink takes the module and the inputs of a lease from its client.
func (p *Provider) Sink(ctx context.Context, client peer.ID, h market.Hash, root cid.Cid) (wireblob.Sink, error) {
	l, err := p.find(ctx, client, h)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(l.roots(), root) {
		return nil, wire.Refuse(wire.Unknown, "%s is neither the module nor an input of this lease", root)
	}
	if !l.stateIs(market.Agreed) && !l.stateIs(market.Preparing) {
		return nil, wire.Refuse(wire.WrongState, "the lease takes no inputs any more")
	}
	s, err := l.space()
	if err != nil {
		return nil, err
	}
	if err := s.Pin(root, l.inputsUntil()); err != nil {
		return nil, l.spoiled(err)
	}
	sink, err := blob.NewSink(ctx, s, root, blob.Limits{Bytes: l.inputLimit()})
	if err != nil {
		return nil, l.spoiled(err)
	}
	return &wakingSink{Sink: sink, l: l}, nil
}

// inputLimit is what the module and the inputs may have, in bytes: the leased
// disk for data, and a module's most on top.
func (l *lease) inputLimit() int64 { return l.terms.Disk + market.MaxModuleBytes }

// inputsUntil is how long inputs are kept: for as long as a process may need them.
func (l *lease) inputsUntil() time.Time {
	return time.UnixMilli(int64(l.quote.StartBy)).Add(millis(l.quote.MaxMillis)) //nolint:gosec // set by this provider
}

// inputsAgain is how often the inputs may come, counting what a cut transfer
// sends again.
const inputsAgain = 2

// wakingSink counts what comes and tells the lease's supervisor when a DAG is in.
type wakingSink struct {
	wireblob.Sink
	l *lease
}

func (s *wakingSink) Accept(block []byte) error {
	if s.l.received.Add(int64(len(block))) > inputsAgain*s.l.inputLimit() {
		return fmt.Errorf("%w: the inputs of a lease may have %d bytes in all", wireblob.ErrOverLimit, s.l.inputLimit())
	}
	return s.l.spoiled(s.Sink.Accept(block))
}

func (s *wakingSink) Close() error {
	err := s.l.spoiled(s.Sink.Close())
	s.l.arrivals.Add(1)
	s.l.wake()
	return err
}

// spoiled notes an error of this node's own disk, for which sending the inputs
// once more is no help: the lease ends by it. It gives err back.
func (l *lease) spoiled(err error) error {
	switch {
	case err == nil, errors.Is(err, wireblob.ErrGarbage), errors.Is(err, wireblob.ErrOverLimit),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	default:
		l.unstorable.CompareAndSwap(nil, &err)
		l.wake()
	}
	return err
}

// complete tells whether all of a DAG is in a space.
func complete(ctx context.Context, s *blob.Space, root cid.Cid) (bool, error) {
	r, err := blob.NewReceiver(ctx, s, root, blob.Limits{})
	if err != nil {
		return false, err
	}
	return r.Complete(), r.Close()
}
