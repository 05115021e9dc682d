package lease

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// Provider is what the server needs. Both calls return only after what they
// promise is on disk; their refusals are *wire.Refusal.
type Provider interface {
	// Quote answers a request with a signed quote.
	Quote(ctx context.Context, client peer.ID, a Asked) (Quoted, error)
	// Accept gives the provider's signature on the lease; repeated, the same one.
	Accept(ctx context.Context, client peer.ID, a Accepted) (market.Signature, error)
}

// Serve answers for a provider with that address on that chain.
func Serve(d *wire.Dispatcher, chain market.Chain, address market.Address, p Provider) {
	d.Handle(wire.LeaseProtocol, refuse, func(ctx context.Context, s *wire.Stream) error {
		var m pb.LeaseRequest
		if err := s.Read(&m, wire.MaxControl, wire.FrameTimeout); err != nil {
			return err
		}
		client, err := market.AddressOf(s.Peer())
		if err != nil {
			return wire.Refuse(wire.BadRequest, "this peer can't trade: %v", err)
		}
		ctx, cancel := context.WithTimeout(ctx, wire.AskTimeout)
		defer cancel()
		a, err := answer(ctx, s, &m, Parties{Chain: chain, Provider: address, Client: client}, p)
		if err != nil {
			return err
		}
		return s.Write(a)
	})
}

func refuse(r *pb.Refusal) proto.Message {
	return &pb.LeaseAnswer{Answer: &pb.LeaseAnswer_Refusal{Refusal: r}}
}

func answer(ctx context.Context, s *wire.Stream, m *pb.LeaseRequest, parties Parties, p Provider) (*pb.LeaseAnswer, error) {
	switch r := m.GetRequest().(type) {
	case *pb.LeaseRequest_Quote:
		asked, err := ReadAsked(r.Quote, parties)
		if err != nil {
			return nil, fault(err)
		}
		q, err := p.Quote(ctx, s.Peer(), asked)
		if err != nil {
			return nil, err
		}
		return &pb.LeaseAnswer{Answer: &pb.LeaseAnswer_Quote{Quote: &pb.Quote{
			Quote: q.Block, Signature: q.Signature[:], Terms: q.TermBlock, ChannelConfig: q.Config.Encode(), Now: q.SignedAt,
		}}}, nil
	case *pb.LeaseRequest_Accept:
		if s.Limited() {
			return nil, wire.Refuse(wire.BadRequest, "an accept needs a direct connection, this one goes through a relay")
		}
		accepted, err := ReadAccepted(r.Accept, parties)
		if err != nil {
			return nil, fault(err)
		}
		sig, err := p.Accept(ctx, s.Peer(), accepted)
		if err != nil {
			return nil, err
		}
		return &pb.LeaseAnswer{Answer: &pb.LeaseAnswer_Lease{Lease: &pb.Lease{ProviderSignature: sig[:]}}}, nil
	default:
		return nil, wire.Malformed("neither a quote request nor an accept")
	}
}

// fault makes what a correct client never sends malformed; a refusal stays one.
func fault(err error) error {
	var r *wire.Refusal
	if errors.As(err, &r) {
		return err
	}
	return wire.Malformed("%v", err)
}
