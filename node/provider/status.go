package provider

import (
	"context"
	"errors"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// LeaseStatus tells a quote's client what became of it. One that was not
// accepted is void from then on, on disk before the answer.
func (p *Provider) LeaseStatus(ctx context.Context, asker peer.ID, q market.Quote, sig market.Signature) (*pb.LeaseStatus, error) {
	client, err := market.AddressOf(asker)
	if err != nil || q.Client != client || q.Provider != p.Address() || sig.Verify(p.chain.Digest(q.Hash()), p.Address()) != nil {
		return nil, wire.Refuse(wire.Unknown, "that is no quote of this provider for this peer")
	}
	answer := &pb.LeaseStatus{}
	err = p.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		rec, err := tx.Quote(q.Hash())
		if errors.Is(err, ledger.ErrNotFound) { // it was dropped when it ran out: what isn't known can't be accepted
			answer.State = status.Void
			return nil
		}
		if err != nil {
			return err
		}
		if rec.Lease.IsZero() {
			answer.State = status.Void
			if rec.Void {
				return nil
			}
			rec.Void = true
			return tx.PutQuote(rec)
		}
		l, err := tx.Lease(ledger.Provider, rec.Lease)
		if err != nil {
			return err
		}
		answer.State = string(l.State)
		answer.Documents, err = documents(tx, l, l.Newest.Seq)
		return err
	})
	if err != nil {
		return nil, stored(err)
	}
	if answer.State == status.Void {
		p.quotes.void(q.Hash())
	}
	return answer, nil
}

// documents is a lease with the receipt seq, if that isn't 0, and all signatures.
func documents(tx *ledger.Tx, l ledger.Lease, seq uint32) (*pb.LeaseDocuments, error) {
	d := &pb.LeaseDocuments{
		Quote: l.Quote, QuoteSignature: l.QuoteSignature, Terms: l.Terms, Lease: l.Block, ClientSignature: l.ClientSignature,
		ProviderSignature: l.ProviderSignature, Job: l.Job,
	}
	if seq == 0 {
		return d, nil
	}
	r, err := tx.Receipt(l.Role, l.Hash, seq)
	if err != nil {
		return nil, err
	}
	d.Receipt = receiptProto(r)
	return d, nil
}

// ChannelStatus gives the other peer of a channel what this side holds of it,
// after this side has asked the same of the peer, once per start.
func (p *Provider) ChannelStatus(ctx context.Context, asker peer.ID, channel market.Hash, boot status.BootID, cursor uint64) (*pb.ChannelStatus, error) {
	answer := &pb.ChannelStatus{BootId: p.Boot[:]}
	if channel.IsZero() {
		return answer, nil
	}
	if err := p.twins.Admit(ctx, asker, boot); err != nil {
		return nil, err
	}
	a := account{asker, channel}
	if err := p.reconcile(ctx, a); err != nil {
		return nil, stored(err)
	}
	p.exchangedWith(a)
	err := p.Ledger.View(ctx, func(tx *ledger.Tx) error {
		ch, err := tx.Channel(ledger.Provider, channel)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil // nothing was ever signed on it here
		}
		if err != nil {
			return err
		}
		if ch.Peer != asker.String() {
			return wire.Refuse(wire.Unknown, "that channel isn't this peer's")
		}
		if len(ch.Signature) > 0 {
			answer.Voucher = &pb.Voucher{Voucher: market.Voucher{Channel: channel, Max: ch.Voucher}.Encode(), Signature: ch.Signature}
		}
		return status.Fill(answer, cursor, tx.ChannelLeases(ledger.Provider, channel), func(h market.Hash) ([]*pb.LeaseDocuments, error) {
			l, err := tx.Lease(ledger.Provider, h)
			if err != nil {
				return nil, err
			}
			return everything(tx, l)
		})
	})
	return answer, stored(err)
}

// exchangedWith tells the leases of an account that wait for the exchange.
func (p *Provider) exchangedWith(a account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.leases {
		if l.account() == a && !l.exchanged.Load() {
			l.here()
		}
	}
}

// everything is a lease once for each receipt of it that the client may have
// to adopt, or once without any.
func everything(tx *ledger.Tx, l ledger.Lease) (all []*pb.LeaseDocuments, err error) {
	seqs := books.Numbers(l)
	if len(seqs) == 0 {
		seqs = []uint32{0}
	}
	for _, seq := range seqs {
		d, err := documents(tx, l, seq)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// outputsBytes is a CID as it travels; nothing where a lease has no outputs.
func outputsBytes(s string) []byte {
	c, err := cid.Decode(s)
	if err != nil {
		return nil
	}
	return c.Bytes()
}
