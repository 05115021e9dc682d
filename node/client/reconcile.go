package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

const (
	// maxPages bounds how much of a channel a provider can make this node read.
	maxPages = 4096
	// maxReconcile bounds how long it can keep this node at that.
	maxReconcile = 2 * time.Minute
)

// errEndless is a channel's status that has no end.
var errEndless = fmt.Errorf("the status of the channel has more than %d pages", maxPages)

// reconciled remembers with whom the status of the channel was exchanged
// since this node started.
type reconciled struct {
	mu   sync.Mutex
	done map[peer.ID]bool
}

func (r *reconciled) is(p peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done[p]
}

func (r *reconciled) set(p peer.ID, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = map[peer.ID]bool{}
	}
	if r.done[p] = done; !done {
		delete(r.done, p)
	}
}

// reconcile asks a provider, once since this node started, what it holds of
// the channel, and adopts every document that bears this node's signature.
// Nothing may be signed on the channel before it returned nil.
func (e *Engine) reconcile(ctx context.Context, p peer.ID) error {
	if e.books.is(p) {
		return nil
	}
	parties, err := e.parties(p)
	if err != nil {
		return err
	}
	channel := e.chain.ChannelID(lease.NewConfig(parties, e.cfg.Token, e.salt))
	ctx, cancel := context.WithTimeout(ctx, maxReconcile)
	defer cancel()
	cursor := uint64(0)
	for range maxPages {
		page, err := status.Channel(ctx, e.cfg.Host, p, channel, e.cfg.Boot, cursor)
		if err == nil {
			cursor, err = page.GetNextCursor(), e.adopt(ctx, p, parties, channel, page)
		} else if wire.IsCode(err, wire.Unknown) {
			cursor, err = 0, nil // it holds nothing of this channel
		}
		if err != nil {
			return err
		}
		if cursor == 0 {
			e.books.set(p, true)
			return nil
		}
	}
	return errEndless
}

// adopt takes over what of a page bears this node's own signature. What
// doesn't is no news, and no reason to stop.
func (e *Engine) adopt(ctx context.Context, p peer.ID, parties lease.Parties, channel market.Hash, page *pb.ChannelStatus) error {
	return e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		if v := page.GetVoucher(); v != nil {
			if err := e.adoptVoucher(tx, p, parties, channel, v); err != nil {
				return err
			}
		}
		for _, d := range page.GetLeases() {
			if err := e.adoptLease(tx, p, parties, channel, d); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *Engine) adoptVoucher(tx *ledger.Tx, p peer.ID, parties lease.Parties, channel market.Hash, m *pb.Voucher) error {
	v, sig, err := lease.ReadVoucher(m, parties, channel)
	if err != nil {
		e.cfg.Log.Warn("a provider showed a voucher that this node didn't sign", "peer", p, "err", err)
		return nil
	}
	ch, err := e.channel(tx, p, parties, channel)
	if err != nil || !ch.Voucher.Less(v.Max) {
		return err
	}
	e.cfg.Log.Warn("adopted a voucher that this ledger lacked: was it restored from a backup?", "peer", p, "voucher", v.Max)
	return keepVoucher(tx, ch, v, sig, e.nowMillis())
}

// channel reads the channel with a provider, or makes it.
func (e *Engine) channel(tx *ledger.Tx, p peer.ID, parties lease.Parties, id market.Hash) (ledger.Channel, error) {
	ch, err := tx.Channel(ledger.Client, id)
	if !errors.Is(err, ledger.ErrNotFound) {
		return ch, err
	}
	cfg := lease.NewConfig(parties, e.cfg.Token, e.salt)
	ch = ledger.Channel{ID: id, Role: ledger.Client, Peer: p.String(), Config: cfg.Encode(), Chain: e.chain}
	return ch, tx.PutChannel(ch)
}

// adoptLease takes over a lease, or a newer countersignature on one.
func (e *Engine) adoptLease(tx *ledger.Tx, p peer.ID, parties lease.Parties, channel market.Hash, d *pb.LeaseDocuments) error {
	l, err := e.readLease(p, parties, channel, d)
	if err != nil {
		e.cfg.Log.Warn("a provider showed a lease that doesn't check", "peer", p, "err", err)
		return nil
	}
	old, err := tx.Lease(ledger.Client, l.Hash)
	switch {
	case err == nil:
		l = old
	case errors.Is(err, ledger.ErrNotFound):
		e.cfg.Log.Warn("adopted a lease that this ledger lacked", "peer", p, "lease", l.Hash)
	default:
		return err
	}
	if _, err := e.channel(tx, p, parties, channel); err != nil {
		return err
	}
	return e.adoptReceipt(tx, p, parties, l, d.GetReceipt())
}

// readLease makes a record of a lease that both sides signed and this ledger
// may lack. It belongs to no job any more, so nothing goes on with it.
func (e *Engine) readLease(p peer.ID, parties lease.Parties, channel market.Hash, d *pb.LeaseDocuments) (ledger.Lease, error) {
	q, doc, err := lease.ReadDocuments(d, parties, channel)
	if err != nil {
		return ledger.Lease{}, err
	}
	terms, err := market.DecodeTerms(q.TermBlock)
	if err != nil {
		return ledger.Lease{}, err
	}
	return ledger.Lease{
		Hash: doc.Hash(), Role: ledger.Client, Peer: p.String(), Channel: channel, Chain: e.chain,
		Quote: d.GetQuote(), QuoteSignature: d.GetQuoteSignature(), Terms: d.GetTerms(), Block: d.GetLease(),
		ClientSignature: d.GetClientSignature(), ProviderSignature: d.GetProviderSignature(), Job: d.GetJob(),
		State: market.Closed, Lost: true, Reason: "this ledger lacked it; the provider showed it",
		Created: e.nowMillis(), Ended: e.nowMillis(), Paid: q.Quote.Part(market.Amount{}, terms.PrepayTicks, false),
	}, nil
}

// adoptReceipt takes over a receipt that this node countersigned, if it is newer than what is known.
func (e *Engine) adoptReceipt(tx *ledger.Tx, p peer.ID, parties lease.Parties, l ledger.Lease, m *pb.Receipt) error {
	r, _, err := lease.ReadReceipt(m, parties)
	if m == nil || err != nil || len(m.GetClientSignature()) == 0 || r.Lease != l.Hash || r.Seq <= l.Countersigned.Seq {
		return keepNew(tx, l)
	}
	q, err := market.DecodeQuote(l.Quote)
	if err != nil {
		return err
	}
	terms, err := market.DecodeTerms(l.Terms)
	if err != nil {
		return err
	}
	ch, err := e.channel(tx, p, parties, l.Channel)
	if err != nil {
		return err
	}
	ch.Due = ch.Due.Add(r.Charged.Sub(l.Countersigned.Charged))
	ch.Signed = ch.Signed.Add(r.Charged.Sub(l.Newest.Charged))
	count(&l, q, terms, r)
	return errors.Join(tx.PutChannel(ch), putLease(tx, l), tx.PutReceipt(ledger.Client, ledger.Receipt{
		Lease: l.Hash, Seq: r.Seq, Block: m.GetReceipt(), ProviderSignature: m.GetProviderSignature(), ClientSignature: m.GetClientSignature(), Body: m.GetBody(),
	}))
}

// keepNew writes a lease that the ledger lacks.
func keepNew(tx *ledger.Tx, l ledger.Lease) error {
	if _, err := tx.Lease(ledger.Client, l.Hash); !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	return putLease(tx, l)
}

func markOf(r market.Receipt) ledger.Mark {
	return ledger.Mark{Seq: r.Seq, Hash: r.Hash(), Units: r.Units, Charged: r.Charged}
}
