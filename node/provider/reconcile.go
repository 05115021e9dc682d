package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

func (p *Provider) reconciled(a account) bool {
	_, ok := p.agreed.Get(a)
	return ok
}

// reconcile asks the client, once per start, what it holds of a channel, and
// adopts what bears this provider's own signature and is newer than its own
// books, so that a restored backup can't sign lower or conflicting numbers.
func (p *Provider) reconcile(ctx context.Context, a account) error {
	end, err := p.asking.Take(ctx, a)
	if err != nil {
		return err
	}
	defer end()
	if p.reconciled(a) {
		return nil
	}
	if err := status.EachPage(ctx, p.Host, a.peer, a.channel, p.Boot, func(page *pb.ChannelStatus) error {
		return p.adopt(ctx, a.peer, a.channel, page)
	}); err != nil {
		return fmt.Errorf("ask the client for the channel's status: %w", err)
	}
	p.agreed.Add(a, struct{}{})
	return nil
}

func (p *Provider) adopt(ctx context.Context, client peer.ID, channel market.Hash, st *pb.ChannelStatus) error {
	address, err := market.AddressOf(client)
	if err != nil {
		return err
	}
	parties := leases.Parties{Chain: p.chain, Provider: p.Address(), Client: address}
	return p.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		for _, d := range st.GetLeases() {
			if err := p.adoptLease(tx, client, parties, channel, d); err != nil {
				return err
			}
		}
		if st.GetVoucher() == nil {
			return nil
		}
		v, sig, err := leases.ReadVoucher(st.GetVoucher(), parties, channel)
		if err != nil {
			return wire.Malformed("voucher: %v", err)
		}
		ch, err := tx.Channel(ledger.Provider, channel)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil // no lease of ours on it: a voucher alone promises nothing that we must keep
		}
		if err != nil {
			return err
		}
		w, _ := books.Raise(ch, books.Voucher{Voucher: v, Signature: sig}, p.nowMillis())
		return w.Store(tx)
	})
}

// adoptLease takes over a lease, or a newer receipt of one, that this
// provider signed and no longer knows.
func (p *Provider) adoptLease(tx *ledger.Tx, client peer.ID, parties leases.Parties, channel market.Hash, d *pb.LeaseDocuments) error {
	if len(d.GetProviderSignature()) == 0 {
		return nil // we never answered its accept
	}
	shown, err := books.ReadShown(d, client.String(), parties, channel)
	if err == nil {
		shown, err = shown.With(d.GetReceipt(), parties)
	}
	if err != nil {
		return wire.Malformed("%v", err)
	}
	var known *ledger.Lease
	rec, err := tx.Lease(ledger.Provider, shown.Lease.Hash)
	switch {
	case err == nil:
		known = &rec
	case !errors.Is(err, ledger.ErrNotFound):
		return err
	}
	ch, err := tx.Channel(ledger.Provider, channel)
	if errors.Is(err, ledger.ErrNotFound) {
		ch, err = ledger.Channel{ID: channel, Role: ledger.Provider, Peer: client.String(), Config: (market.ChannelConfig{}).Encode(), Chain: p.chain}, nil
	}
	if err != nil {
		return err
	}
	a := books.AdoptAsProvider(known, ch, shown, p.nowMillis())
	if a.News {
		p.Log.Warn("adopted what this ledger lacked: was it restored from a backup?", "lease", shown.Lease.Hash, "client", client, "forgotten", a.Forgotten)
	}
	if err := a.Store(tx); err != nil || !a.Settled {
		return err
	}
	return p.remember(tx, *a.Lease)
}
