package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// maxPages bounds what one channel's status may bring.
const maxPages = 256

func (p *Provider) reconciled(a account) bool {
	_, ok := p.agreed.Get(a)
	return ok
}

// reconcile asks the client, once per start, what it holds of a channel, and
// adopts what bears this provider's own signature and is newer than its own
// books, so that a restored backup can't sign lower or conflicting numbers.
func (p *Provider) reconcile(ctx context.Context, a account) error {
	end, err := p.asking.take(ctx, a)
	if err != nil {
		return err
	}
	defer end()
	if p.reconciled(a) {
		return nil
	}
	cursor := uint64(0)
	for range maxPages {
		st, err := status.Channel(ctx, p.Host, a.peer, a.channel, p.Boot, cursor)
		if err != nil {
			return fmt.Errorf("ask the client for the channel's status: %w", err)
		}
		if err := p.adopt(ctx, a.peer, a.channel, st); err != nil {
			return err
		}
		next := st.GetNextCursor()
		if next == 0 {
			p.agreed.Add(a, struct{}{})
			return nil
		}
		if next <= cursor {
			return wire.Malformed("a channel's status goes back from page %d to %d", cursor, next)
		}
		cursor = next
	}
	return wire.Malformed("a channel's status has more than %d pages", maxPages)
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
		if err == nil {
			_, err = raise(tx, ch, v, sig, p.nowMillis())
		}
		return err
	})
}

// adoptLease takes over a lease, or a newer receipt of one, that this
// provider signed and no longer knows.
func (p *Provider) adoptLease(tx *ledger.Tx, client peer.ID, parties leases.Parties, channel market.Hash, d *pb.LeaseDocuments) error {
	if len(d.GetProviderSignature()) == 0 {
		return nil // we never answered its accept
	}
	q, doc, err := leases.ReadDocuments(d, parties, channel)
	if err != nil {
		return wire.Malformed("lease: %v", err)
	}
	rec, err := tx.Lease(ledger.Provider, doc.Hash())
	if errors.Is(err, ledger.ErrNotFound) {
		rec, err = p.forgotten(tx, client, q, doc, d)
	}
	if err != nil || d.GetReceipt() == nil {
		return err
	}
	return p.adoptReceipt(tx, rec, parties, d.GetReceipt())
}

// forgotten puts a lease back in the books that a restored backup lost. Its
// process is gone, so the next start ends it as provider_failed.
func (p *Provider) forgotten(tx *ledger.Tx, client peer.ID, q leases.Quoted, doc market.Lease, d *pb.LeaseDocuments) (ledger.Lease, error) {
	p.Log.Warn("a lease that this ledger lost", "lease", doc.Hash(), "client", client)
	rec := ledger.Lease{
		Hash: doc.Hash(), Role: ledger.Provider, Peer: client.String(), Channel: q.Quote.Channel, Chain: p.chain,
		Quote: d.GetQuote(), QuoteSignature: d.GetQuoteSignature(), Terms: d.GetTerms(), Block: d.GetLease(),
		ClientSignature: d.GetClientSignature(), ProviderSignature: d.GetProviderSignature(), Job: d.GetJob(),
		State: market.Closed, Outcome: market.ProviderFailed, Created: p.nowMillis(), Reason: "this ledger was restored from a backup that lacks the lease",
	}
	_, err := tx.Channel(ledger.Provider, rec.Channel)
	if errors.Is(err, ledger.ErrNotFound) {
		err = tx.PutChannel(ledger.Channel{ID: rec.Channel, Role: ledger.Provider, Peer: rec.Peer, Config: q.Config.Encode(), Chain: p.chain})
	}
	record := ledger.Quote{Hash: q.Quote.Hash(), Peer: rec.Peer, Block: q.Block, Signature: q.Signature[:], Terms: q.TermBlock, Channel: rec.Channel, Config: q.Config.Encode(), ExpiresAt: q.Quote.ExpiresAt, Lease: rec.Hash}
	return rec, errors.Join(err, tx.PutQuote(record), tx.PutLease(rec))
}

// adoptReceipt takes over a receipt that the ledger lacks, and a client's
// signature on one that it has.
func (p *Provider) adoptReceipt(tx *ledger.Tx, rec ledger.Lease, parties leases.Parties, m *pb.Receipt) error {
	r, sig, err := leases.ReadReceipt(m, parties)
	if err != nil {
		return wire.Malformed("receipt: %v", err)
	}
	newer, signed := r.Seq > rec.Newest.Seq, len(m.GetClientSignature()) > 0 && r.Seq > rec.Countersigned.Seq
	if r.Lease != rec.Hash || !newer && !signed {
		return nil
	}
	ch, err := tx.Channel(ledger.Provider, rec.Channel)
	if err != nil {
		return err
	}
	mark := ledger.Mark{Seq: r.Seq, Hash: r.Hash(), Units: r.Units, Charged: r.Charged}
	if newer {
		p.Log.Warn("a receipt that this ledger lost", "lease", rec.Hash, "seq", r.Seq)
		ch.Signed = ch.Signed.Add(r.Charged).Sub(rec.Newest.Charged)
		rec.Newest = mark
	}
	if signed {
		ch.Due = ch.Due.Add(r.Charged).Sub(rec.Countersigned.Charged)
		rec.Countersigned = mark
	}
	if r.Outcome != market.NotEnded {
		rec.Outcome, rec.State = r.Outcome, market.Closed
	}
	return errors.Join(tx.PutChannel(ch), tx.PutLease(rec), tx.PutReceipt(ledger.Provider, ledger.Receipt{
		Lease: rec.Hash, Seq: r.Seq, Block: m.GetReceipt(), ProviderSignature: sig[:], ClientSignature: m.GetClientSignature(), Body: m.GetBody(),
	}))
}
