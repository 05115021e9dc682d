package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// maxReconcile bounds how long a provider can keep this node at a channel's status.
const maxReconcile = 2 * time.Minute

// reconciled remembers with whom the status of the channel was exchanged
// since this node started, or was last asked to do it again.
type reconciled struct {
	mu    sync.Mutex
	done  map[peer.ID]bool
	again uint64 // how often it was asked to
}

func (r *reconciled) is(p peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done[p]
}

// begin gives what finish needs to see that nobody asked for it again meanwhile.
func (r *reconciled) begin() (began uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.again
}

func (r *reconciled) finish(p peer.ID, began uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again != began {
		return
	}
	if r.done == nil {
		r.done = map[peer.ID]bool{}
	}
	r.done[p] = true
}

func (r *reconciled) askAgain(p peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again++
	delete(r.done, p)
}

// reconcile asks a provider, once since this node started, what it holds of
// the channel, adopts every document that bears this node's signature, and pays
// late what it lost of its leases. Nothing may be signed on the channel before it returned nil.
func (e *Engine) reconcile(ctx context.Context, p peer.ID) error {
	if e.books.is(p) {
		return nil
	}
	return e.asking.Do(ctx, p, func() error { return e.exchange(ctx, p) })
}

func (e *Engine) exchange(ctx context.Context, p peer.ID) error {
	if e.books.is(p) { // since the caller looked
		return nil
	}
	parties, err := e.parties(p)
	if err != nil {
		return err
	}
	channel, began := e.chain.ChannelID(lease.NewConfig(parties, e.cfg.Token, e.salt)), e.books.begin()
	ctx, cancel := context.WithTimeout(ctx, maxReconcile)
	defer cancel()
	seen := shownLeases{}
	err = status.EachPage(ctx, e.cfg.Host, p, channel, e.cfg.Boot, func(page *pb.ChannelStatus) error {
		return e.adopt(ctx, p, parties, channel, page, seen)
	})
	if err != nil && !wire.IsCode(err, wire.Unknown) { // which says that it holds nothing of this channel
		return err
	}
	if err := e.catchUp(ctx, p, seen); err != nil {
		return err
	}
	e.books.finish(p, began)
	return nil
}

// adopt takes over what of a page bears this node's own signature. What
// doesn't is no news, and no reason to stop.
func (e *Engine) adopt(ctx context.Context, p peer.ID, parties lease.Parties, channel market.Hash, page *pb.ChannelStatus, seen shownLeases) error {
	return e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		if v := page.GetVoucher(); v != nil {
			if err := e.adoptVoucher(tx, p, parties, channel, v); err != nil {
				return err
			}
		}
		for _, d := range page.GetLeases() {
			if err := e.adoptLease(tx, p, parties, channel, d, seen); err != nil {
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
	if err != nil {
		return err
	}
	w, news := books.Raise(ch, books.Voucher{Voucher: v, Signature: sig}, e.nowMillis())
	if news {
		e.cfg.Log.Warn("adopted a voucher that this ledger lacked: was it restored from a backup?", "peer", p, "voucher", v.Max)
	}
	return w.Store(tx)
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

// adoptLease takes over a lease, or a newer countersignature on one, and notes
// in seen how it stands there.
func (e *Engine) adoptLease(tx *ledger.Tx, p peer.ID, parties lease.Parties, channel market.Hash, d *pb.LeaseDocuments, seen shownLeases) error {
	shown, err := books.ReadShown(d, p.String(), parties, channel)
	if err == nil {
		shown, err = shown.With(d.GetReceipt(), parties)
	}
	if err != nil {
		e.cfg.Log.Warn("a provider showed a lease that doesn't check", "peer", p, "err", err)
		if shown.Lease.Hash.IsZero() {
			return nil
		}
	}
	var known *ledger.Lease
	old, err := tx.Lease(ledger.Client, shown.Lease.Hash)
	switch {
	case err == nil:
		known = &old
	case !errors.Is(err, ledger.ErrNotFound):
		return err
	}
	seen.note(shown, old)
	ch, err := e.channel(tx, p, parties, channel)
	if err != nil {
		return err
	}
	a := books.AdoptAsClient(known, ch, shown, e.nowMillis())
	if a.News {
		e.cfg.Log.Warn("adopted what this ledger lacked: was it restored from a backup?", "peer", p, "lease", shown.Lease.Hash, "forgotten", a.Forgotten)
	}
	return a.Store(tx)
}
