// Package status is /souk/status/1.0.0, served by both roles: how a lease
// stands, and what of a channel's documents the other side holds.
//
// After every start, before anything is signed on a channel, its two peers
// exchange ChannelStatus and adopt the documents that bear their own
// signature. So a restored backup can't sign lower or conflicting numbers.
package status

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// Void is the state of a quote that was not accepted and never will be.
const Void = "void"

// MaxPage is the most bytes of one page of a channel's status.
const MaxPage = wire.MaxData

// BootID names one run of a node, at random.
type BootID = [16]byte

// Holder is what the server needs.
type Holder interface {
	// LeaseStatus is answered only to the client of the quote. A quote that
	// was not accepted is durably void before the answer.
	LeaseStatus(ctx context.Context, asker peer.ID, quote market.Quote, signature market.Signature) (*pb.LeaseStatus, error)
	// ChannelStatus is answered only to the other peer of the channel.
	ChannelStatus(ctx context.Context, asker peer.ID, channel market.Hash, boot BootID, cursor uint64) (*pb.ChannelStatus, error)
}

// Serve answers status questions.
func Serve(d *wire.Dispatcher, h Holder) {
	d.Handle(wire.StatusProtocol, refuse, func(ctx context.Context, s *wire.Stream) error {
		var m pb.StatusRequest
		if err := s.Read(&m, wire.MaxControl, wire.FrameTimeout); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, wire.AskTimeout)
		defer cancel()
		a, err := answer(ctx, s.Peer(), &m, h)
		if err != nil {
			return err
		}
		return s.Write(a)
	})
}

func refuse(r *pb.Refusal) proto.Message {
	return &pb.StatusAnswer{Answer: &pb.StatusAnswer_Refusal{Refusal: r}}
}

func answer(ctx context.Context, p peer.ID, m *pb.StatusRequest, h Holder) (*pb.StatusAnswer, error) {
	switch r := m.GetRequest().(type) {
	case *pb.StatusRequest_Lease:
		q, err := market.DecodeQuote(r.Lease.GetQuote())
		if err != nil {
			return nil, wire.Malformed("%v", err)
		}
		sig, err := market.SignatureFrom(r.Lease.GetSignature())
		if err != nil {
			return nil, wire.Malformed("%v", err)
		}
		st, err := h.LeaseStatus(ctx, p, q, sig)
		return &pb.StatusAnswer{Answer: &pb.StatusAnswer_Lease{Lease: st}}, err
	case *pb.StatusRequest_Channel:
		id, err := market.HashFrom(r.Channel.GetChannel())
		if err != nil || len(r.Channel.GetBootId()) != len(BootID{}) {
			return nil, wire.Malformed("channel ID or boot ID")
		}
		st, err := h.ChannelStatus(ctx, p, id, BootID(r.Channel.GetBootId()), r.Channel.GetCursor())
		return &pb.StatusAnswer{Answer: &pb.StatusAnswer_Channel{Channel: st}}, err
	default:
		return nil, wire.Malformed("neither a lease's nor a channel's status was asked")
	}
}

// Lease asks the provider of a quote what became of it.
func Lease(ctx context.Context, h host.Host, p peer.ID, quote []byte, sig market.Signature) (*pb.LeaseStatus, error) {
	a, err := exchange(ctx, h, p, &pb.StatusRequest{Request: &pb.StatusRequest_Lease{
		Lease: &pb.LeaseStatusRequest{Quote: quote, Signature: sig[:]},
	}})
	if err != nil {
		return nil, err
	}
	if a.GetLease() == nil {
		return nil, fmt.Errorf("peer %s: %w: no lease status", p.ShortString(), wire.ErrMalformed)
	}
	return a.GetLease(), nil
}

// Channel asks the other peer of a channel for a page of what it holds.
func Channel(ctx context.Context, h host.Host, p peer.ID, channel market.Hash, boot BootID, cursor uint64) (*pb.ChannelStatus, error) {
	a, err := exchange(ctx, h, p, &pb.StatusRequest{Request: &pb.StatusRequest_Channel{
		Channel: &pb.ChannelStatusRequest{Channel: channel[:], BootId: boot[:], Cursor: cursor},
	}})
	if err != nil {
		return nil, err
	}
	if a.GetChannel() == nil {
		return nil, fmt.Errorf("peer %s: %w: no channel status", p.ShortString(), wire.ErrMalformed)
	}
	return a.GetChannel(), nil
}

func exchange(ctx context.Context, h host.Host, p peer.ID, q *pb.StatusRequest) (*pb.StatusAnswer, error) {
	var a pb.StatusAnswer
	if err := wire.Ask(ctx, h, p, wire.StatusProtocol, q, &a, MaxPage); err != nil {
		return nil, err
	}
	if r := a.GetRefusal(); r != nil {
		return nil, wire.FromProto(r)
	}
	return &a, nil
}
