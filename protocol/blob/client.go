package blob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// Get fetches the DAG under root into sink, from where the sink has it. A
// sink that is complete asks nothing of the peer. The caller closes the sink,
// also after an error, and opens another to resume.
func Get(ctx context.Context, h host.Host, p peer.ID, lease market.Hash, root cid.Cid, sink Sink, progress Progress) error {
	if sink.Complete() {
		return nil
	}
	s, done, err := open(ctx, h, p)
	if err != nil {
		return err
	}
	defer done()
	ask := &pb.BlobGet{Lease: lease[:], Root: root.Bytes(), Skip: uint64(max(sink.Skip(), 0))}
	if err := s.Write(&pb.BlobRequest{Request: &pb.BlobRequest_Get{Get: ask}}); err != nil {
		return frameErr(ctx, err)
	}
	if err := s.CloseWrite(); err != nil {
		return frameErr(ctx, err)
	}
	var moved int64
	for !sink.Complete() {
		n, err := getFrame(ctx, s, sink)
		moved += n
		progress.report(moved)
		if err != nil {
			return fmt.Errorf("get %s from %s: %w", root, p.ShortString(), err)
		}
	}
	_ = s.Close() // everything is here; how the stream ends changes nothing
	return nil
}

// open opens a stream that ends with ctx, with done, or after TransferTimeout.
func open(ctx context.Context, h host.Host, p peer.ID) (s *wire.Stream, done func(), err error) {
	limited, done := context.WithTimeout(ctx, TransferTimeout)
	s, err = wire.Open(limited, h, p, wire.BlobProtocol)
	if err != nil {
		done()
		return nil, nil, frameErr(ctx, err)
	}
	return s, done, nil
}

// getFrame takes one answer to a Get.
func getFrame(ctx context.Context, s *wire.Stream, sink Sink) (int64, error) {
	var m pb.BlobAnswer
	t, err := takeFrame(s, sink, blocksOfAnswer, &m)
	switch {
	case err != nil:
		return 0, frameErr(ctx, err)
	case t.blocks:
		return t.bytes, t.err
	}
	switch a := m.GetAnswer().(type) {
	case *pb.BlobAnswer_End:
		return 0, fmt.Errorf("%w: it ended the transfer before the last one", ErrWithheld)
	case *pb.BlobAnswer_Refusal:
		r := wire.FromProto(a.Refusal)
		if r.Code == wire.Unknown {
			return 0, fmt.Errorf("%w: %w", ErrWithheld, r)
		}
		return 0, r
	default:
		return 0, fmt.Errorf("%w: neither blocks nor an end in the middle of a get", ErrGarbage)
	}
}

// Put sends the DAG under root to the peer, which says how many leading
// blocks it has; source gives the blocks after those. It returns nil once the
// peer said that all is on its disk.
func Put(ctx context.Context, h host.Host, p peer.ID, lease market.Hash, root cid.Cid, source func(skip int) Source, progress Progress) error {
	s, done, err := open(ctx, h, p)
	if err != nil {
		return err
	}
	defer done()
	if err := put(ctx, s, &pb.BlobPut{Lease: lease[:], Root: root.Bytes()}, source, progress); err != nil {
		return fmt.Errorf("put %s to %s: %w", root, p.ShortString(), err)
	}
	_ = s.Close() // the peer has said that it has everything
	return nil
}

func put(ctx context.Context, s *wire.Stream, ask *pb.BlobPut, source func(skip int) Source, progress Progress) error {
	if err := s.Write(&pb.BlobRequest{Request: &pb.BlobRequest_Put{Put: ask}}); err != nil {
		return frameErr(ctx, err)
	}
	m, err := putAnswer(ctx, s, wire.IdleTimeout)
	if err != nil {
		return err
	}
	ready := m.GetReady()
	switch {
	case ready == nil || ready.GetSkip() > maxSkip:
		return fmt.Errorf("%w: no answer to a put", ErrGarbage)
	case ready.GetComplete():
		return nil
	}
	// The peer may refuse at any time, and stop reading when it does.
	answer := make(chan error, 1)
	go func() { answer <- putEnd(ctx, s) }()
	sent := make(chan error, 1)
	go func() { sent <- putBlocks(ctx, s, source(int(ready.GetSkip())), progress) }()
	return settle(s, sent, answer)
}

// settle waits for the sender and the reader of a put, and ends both.
func settle(s *wire.Stream, sent, answer <-chan error) error {
	select {
	case err := <-answer:
		if err != nil {
			s.Reset() // nobody reads what is still being sent
			<-sent    //nolint:errcheck // err is why
			return err
		}
		return <-sent
	case err := <-sent:
		wait := SyncTimeout
		switch {
		case errors.Is(err, ErrBroken):
			wait = refusalWait
		case err != nil: // this side's own
			wait = 0
		}
		timer := time.AfterFunc(wait, s.Reset)
		defer timer.Stop()
		if said := <-answer; err == nil || (errors.Is(err, ErrBroken) && said != nil && !errors.Is(said, ErrBroken)) {
			return said
		}
		return err
	}
}

// putBlocks sends what the peer lacks. An error that is neither ErrBroken nor
// the context's is the source's own.
func putBlocks(ctx context.Context, s *wire.Stream, src Source, progress Progress) error {
	b := newBuilder(blocksOfRequest, func(frame []byte) error { return frameErr(ctx, s.WriteRaw(frame)) })
	defer b.close()
	if err := sendAll(src, b, progress); err != nil {
		return err
	}
	return frameErr(ctx, s.Write(&pb.BlobRequest{Request: &pb.BlobRequest_End{End: &pb.BlobEnd{}}}))
}

// putEnd waits for the peer to say that all is on its disk.
func putEnd(ctx context.Context, s *wire.Stream) error {
	m, err := putAnswer(ctx, s, TransferTimeout)
	if err == nil && m.GetEnd() == nil {
		err = fmt.Errorf("%w: no end in answer to a put", ErrGarbage)
	}
	return err
}

func putAnswer(ctx context.Context, s *wire.Stream, idle time.Duration) (*pb.BlobAnswer, error) {
	var m pb.BlobAnswer
	if err := s.Read(&m, wire.MaxControl, idle); err != nil {
		return nil, frameErr(ctx, err)
	}
	if r := m.GetRefusal(); r != nil {
		return nil, wire.FromProto(r)
	}
	return &m, nil
}
