package blob

import (
	"context"
	"errors"

	"github.com/ipfs/go-cid"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// Serve serves gets and puts. A peer that sends garbage is counted as malformed.
func Serve(d *wire.Dispatcher, store Store) {
	d.Handle(wire.BlobProtocol, refuse, func(ctx context.Context, s *wire.Stream) error {
		ctx, cancel := context.WithTimeout(ctx, TransferTimeout)
		defer cancel()
		defer context.AfterFunc(ctx, s.Reset)()
		var m pb.BlobRequest
		if err := s.Read(&m, wire.MaxControl, wire.FrameTimeout); err != nil {
			return err
		}
		var err error
		switch r := m.GetRequest().(type) {
		case *pb.BlobRequest_Get:
			err = serveGet(ctx, s, store, r.Get)
		case *pb.BlobRequest_Put:
			err = servePut(ctx, s, store, r.Put)
		default:
			err = wire.Malformed("a transfer begins with a get or a put")
		}
		return toPeer(err)
	})
}

// toPeer makes a refusal of what a source or sink says.
func toPeer(err error) error {
	switch {
	case errors.Is(err, ErrGarbage):
		return wire.Malformed("%v", err)
	case errors.Is(err, ErrMissing):
		return wire.Refuse(wire.Unknown, "a block of this data is not here")
	case errors.Is(err, ErrOverLimit):
		return wire.Refuse(wire.OverLimit, "this data is over the lease's limit")
	case errors.Is(err, ErrNoRoom):
		return wire.Refuse(wire.OverLimit, "there is no room for more of your data here")
	default:
		return err
	}
}

func refuse(r *pb.Refusal) proto.Message {
	return &pb.BlobAnswer{Answer: &pb.BlobAnswer_Refusal{Refusal: r}}
}

// subject reads what a transfer is about.
func subject(lease, root []byte) (market.Hash, cid.Cid, error) {
	h, err := market.HashFrom(lease)
	if err != nil {
		return h, cid.Undef, wire.Malformed("lease: %v", err)
	}
	if len(root) > maxCID {
		return h, cid.Undef, wire.Malformed("a root CID of %d bytes", len(root))
	}
	c, err := cid.Cast(root)
	if err != nil {
		return h, cid.Undef, wire.Malformed("root: %v", err)
	}
	return h, c, nil
}

func serveGet(ctx context.Context, s *wire.Stream, store Store, m *pb.BlobGet) error {
	lease, root, err := subject(m.GetLease(), m.GetRoot())
	if err != nil {
		return err
	}
	if m.GetSkip() > maxSkip {
		return wire.Malformed("%d blocks to skip", m.GetSkip())
	}
	src, err := store.Source(ctx, s.Peer(), lease, root, int(m.GetSkip()))
	if err != nil {
		return err
	}
	b := newBuilder(blocksOfAnswer, s.WriteRaw)
	defer b.close()
	if err := sendAll(src, b, nil); err != nil {
		return err
	}
	return s.Write(answerEnd())
}

func answerEnd() *pb.BlobAnswer {
	return &pb.BlobAnswer{Answer: &pb.BlobAnswer_End{End: &pb.BlobEnd{}}}
}

func servePut(ctx context.Context, s *wire.Stream, store Store, m *pb.BlobPut) (err error) {
	lease, root, err := subject(m.GetLease(), m.GetRoot())
	if err != nil {
		return err
	}
	sink, err := store.Sink(ctx, s.Peer(), lease, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	skip := uint64(max(sink.Skip(), 0))
	ready := &pb.BlobReady{Skip: skip, Complete: sink.Complete()}
	if err := s.Write(&pb.BlobAnswer{Answer: &pb.BlobAnswer_Ready{Ready: ready}}); err != nil {
		return err
	}
	if sink.Complete() {
		return nil
	}
	if err := take(s, sink); err != nil {
		return err
	}
	return s.Write(answerEnd())
}

// take puts what comes into sink until the client says that it was all.
func take(s *wire.Stream, sink Sink) error {
	for {
		var m pb.BlobRequest
		t, err := takeFrame(s, sink, blocksOfRequest, &m)
		switch {
		case err != nil:
			return err
		case t.err != nil:
			return t.err
		case t.blocks:
			continue
		}
		switch m.GetRequest().(type) {
		case *pb.BlobRequest_End:
			if !sink.Complete() {
				return wire.Malformed("the transfer ended before its last block")
			}
			return nil
		default:
			return wire.Malformed("neither blocks nor an end in the middle of a put")
		}
	}
}
