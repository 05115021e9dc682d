package client

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/offer"
)

// connect connects to a provider at the addresses of its offer.
func (e *Engine) connect(ctx context.Context, p peer.ID, o offer.Offer) error {
	return e.cfg.Finder.Connect(ctx, peer.AddrInfo{ID: p, Addrs: o.Addrs})
}

// connectKnown connects to a peer at the addresses that its newest offer, the
// books or the host have.
func (e *Engine) connectKnown(ctx context.Context, p peer.ID) error {
	info := peer.AddrInfo{ID: p, Addrs: e.cfg.Host.Peerstore().Addrs(p)}
	if o, ok := e.offers.Get(p, e.cfg.Clock.Now()); ok {
		info.Addrs = append(info.Addrs, o.Addrs...)
	}
	err := e.cfg.Ledger.Peek(ctx, func(tx *ledger.Tx) error {
		known, err := tx.Peer(p.String())
		info.Addrs = append(info.Addrs, parseAddrs(known.Addrs)...)
		return err
	})
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	return e.cfg.Finder.Connect(ctx, info)
}

// remember writes where a provider was reached, for after a restart.
func (e *Engine) remember(tx *ledger.Tx, p peer.ID, o offer.Offer) error {
	return e.editPeer(tx, p.String(), func(known *ledger.Peer) {
		known.Addrs = known.Addrs[:0]
		for _, a := range o.Addrs {
			known.Addrs = append(known.Addrs, a.String())
		}
	})
}

func (e *Engine) editPeer(tx *ledger.Tx, id string, edit func(*ledger.Peer)) error {
	known, err := tx.Peer(id)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	known.ID, known.SeenAt = id, e.nowMillis()
	edit(&known)
	return tx.PutPeer(known)
}
