package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// holder answers status questions for both roles: as the client of a channel
// that this node pays on, else as the provider.
type holder struct{ n *Node }

func (h *holder) LeaseStatus(ctx context.Context, asker peer.ID, q market.Quote, sig market.Signature) (*pb.LeaseStatus, error) {
	if h.n.supply == nil {
		return nil, wire.Refuse(wire.Unknown, "this node makes no offers and signed no quote")
	}
	return h.n.supply.provider.LeaseStatus(ctx, asker, q, sig)
}

func (h *holder) ChannelStatus(ctx context.Context, asker peer.ID, channel market.Hash, boot status.BootID, cursor uint64) (*pb.ChannelStatus, error) {
	if h.n.supply == nil || h.n.client.PaysOn(asker, channel) {
		return h.n.client.ChannelStatus(ctx, asker, channel, boot, cursor)
	}
	return h.n.supply.provider.ChannelStatus(ctx, asker, channel, boot, cursor)
}

func rand16() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
