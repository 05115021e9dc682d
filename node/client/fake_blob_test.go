package client_test

import (
	"context"
	"io"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	protoblob "souk/protocol/blob"
	"souk/protocol/market"
	"souk/protocol/wire"
)

func (f *fake) Sink(ctx context.Context, p peer.ID, h market.Hash, root cid.Cid) (protoblob.Sink, error) {
	if f.script.closed {
		return nil, wire.Refuse(wire.Busy, "later")
	}
	space, err := f.blobs.Space(p.String())
	if err != nil {
		return nil, err
	}
	r, err := blob.NewReceiver(ctx, space, root, blob.Limits{})
	return fakeSink{r, f}, err
}

type fakeSink struct {
	*blob.Receiver
	f *fake
}

func (s fakeSink) Close() error {
	defer s.f.wake()
	return s.Receiver.Close()
}

func (f *fake) Source(ctx context.Context, _ peer.ID, _ market.Hash, root cid.Cid, skip int) (protoblob.Source, error) {
	if f.script.withhold || root != f.root {
		return nil, wire.Refuse(wire.Unknown, "no such blocks")
	}
	f.mu.Lock()
	f.gets++
	f.mu.Unlock()
	if f.script.cut {
		return func(yield func([]byte, error) bool) { yield(nil, io.EOF) }, nil
	}
	if f.script.stall {
		return func(yield func([]byte, error) bool) {
			<-ctx.Done()
			yield(nil, ctx.Err())
		}, nil
	}
	local, err := f.blobs.Space(blob.Local)
	return func(yield func([]byte, error) bool) {
		for b, err := range local.Walk(ctx, root, skip, blob.Limits{}) {
			if !yield(b.Data, err) {
				return
			}
		}
	}, err
}
