package client

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

var _ status.Holder = (*Engine)(nil)

// LeaseStatus is refused: a client gave no quote.
func (e *Engine) LeaseStatus(context.Context, peer.ID, market.Quote, market.Signature) (*pb.LeaseStatus, error) {
	return nil, wire.Refuse(wire.Unknown, "this node gave no such quote")
}

// ChannelStatus answers the provider of a channel: the highest voucher, and
// the leases with their newest receipts, countersigned or not.
func (e *Engine) ChannelStatus(ctx context.Context, asker peer.ID, channel market.Hash, _ status.BootID, cursor uint64) (*pb.ChannelStatus, error) {
	out := &pb.ChannelStatus{BootId: e.cfg.Boot[:]}
	if channel.IsZero() {
		return out, nil // only whether this node is the one that the asker knows
	}
	err := e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		ch, err := tx.Channel(ledger.Client, channel)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil // nothing was ever signed on it here
		}
		if err != nil {
			return err
		}
		if ch.Peer != asker.String() {
			return wire.Refuse(wire.Unknown, "that channel isn't this peer's")
		}
		out.Voucher = voucherProto(ch)
		return status.Fill(out, cursor, tx.ChannelLeases(ledger.Client, channel), func(h market.Hash) ([]*pb.LeaseDocuments, error) {
			return documents(tx, h)
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// documents is a lease once for each receipt of it that the provider may have
// to adopt, or once without any.
func documents(tx *ledger.Tx, h market.Hash) (all []*pb.LeaseDocuments, err error) {
	l, err := tx.Lease(ledger.Client, h)
	if err != nil {
		return nil, err
	}
	bare := func() *pb.LeaseDocuments {
		return &pb.LeaseDocuments{
			Quote: l.Quote, QuoteSignature: l.QuoteSignature, Terms: l.Terms, Lease: l.Block,
			ClientSignature: l.ClientSignature, ProviderSignature: l.ProviderSignature, Job: l.Job,
		}
	}
	for _, seq := range books.Numbers(l) {
		r, err := tx.Receipt(ledger.Client, h, seq)
		if err != nil {
			return nil, err
		}
		d := bare()
		d.Receipt = &pb.Receipt{Receipt: r.Block, ProviderSignature: r.ProviderSignature, ClientSignature: r.ClientSignature, Body: r.Body}
		all = append(all, d)
	}
	if len(all) == 0 {
		all = append(all, bare())
	}
	return all, nil
}

// SealedCache gives up to limit fresh offers of neighbours, as they were signed.
func (e *Engine) SealedCache(limit int) [][]byte {
	_, sealed := e.offers.Fresh(e.cfg.Clock.Now(), limit)
	return sealed
}

// OfferCache is the cache itself, to share with the provider role.
func (e *Engine) OfferCache() *offer.Cache { return e.offers }

// PaysOn tells whether this node is the client of a channel with p.
func (e *Engine) PaysOn(p peer.ID, channel market.Hash) bool {
	parties, err := e.parties(p)
	return err == nil && e.chain.ChannelID(lease.NewConfig(parties, e.cfg.Token, e.salt)) == channel
}
