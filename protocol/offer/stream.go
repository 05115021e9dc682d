package offer

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// MaxAnswer is the most offers in one answer.
const MaxAnswer = 16

// Holder is what the server needs: sealed offers, the node's own first.
type Holder interface {
	SealedOffers(ctx context.Context, limit int) ([][]byte, error)
}

// Serve answers offer queries of one network.
func Serve(d *wire.Dispatcher, network string, h Holder) {
	d.Handle(wire.OfferProtocol, refuse, func(ctx context.Context, s *wire.Stream) error {
		var q pb.OfferQuery
		if err := s.Read(&q, wire.MaxControl, wire.FrameTimeout); err != nil {
			return err
		}
		if q.GetNetwork() != network {
			return wire.Refuse(wire.WrongNetwork, "this node is on the network %q", network)
		}
		ctx, cancel := context.WithTimeout(ctx, wire.AskTimeout)
		defer cancel()
		sealed, err := h.SealedOffers(ctx, int(min(max(q.GetLimit(), 1), MaxAnswer)))
		if err != nil {
			return err
		}
		return s.Write(&pb.OfferAnswer{Envelopes: sealed})
	})
}

func refuse(r *pb.Refusal) proto.Message { return &pb.OfferAnswer{Refusal: r} }

// Ask asks a peer for its offer and up to limit-1 of its neighbours'. The
// peer's own is first, if it has one; sealed holds what each was read from.
// Offers that don't check are left out; if none is left, the first fault is the error.
func Ask(ctx context.Context, h host.Host, p peer.ID, network string, limit int) (offers []Offer, sealed [][]byte, err error) {
	var a pb.OfferAnswer
	q := &pb.OfferQuery{Network: network, Limit: uint32(limit)} //nolint:gosec // a small number
	if err := wire.Ask(ctx, h, p, wire.OfferProtocol, q, &a, wire.MaxControl); err != nil {
		return nil, nil, err
	}
	if a.GetRefusal() != nil {
		return nil, nil, wire.FromProto(a.GetRefusal())
	}
	var fault error
	for _, e := range a.GetEnvelopes()[:min(len(a.GetEnvelopes()), MaxAnswer)] {
		o, err := Open(e, network, time.Now())
		if err != nil {
			if fault == nil {
				fault = err
			}
			continue
		}
		offers, sealed = append(offers, o), append(sealed, e)
	}
	if len(offers) == 0 && fault != nil {
		return nil, nil, fmt.Errorf("peer %s: %w", p.ShortString(), fault)
	}
	return offers, sealed, nil
}
