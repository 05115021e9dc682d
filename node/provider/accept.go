package provider

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/capacity"
	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// Accept turns a quote into a lease: one per quote, and for a repeated accept
// the signature that was given before.
func (p *Provider) Accept(ctx context.Context, client peer.ID, a leases.Accepted) (market.Signature, error) {
	sig, err := p.accept(ctx, client, a)
	if err != nil {
		p.Log.Info("accept refused", "client", client, "why", wire.AsRefusal(err).Error())
	}
	return sig, stored(err)
}

func (p *Provider) accept(ctx context.Context, client peer.ID, a leases.Accepted) (market.Signature, error) {
	end, err := p.accepts.Take(ctx, a.Quote.Hash())
	if err != nil {
		return market.Signature{}, err
	}
	defer end()
	if sig, done, err := p.answered(ctx, a); done || err != nil {
		return sig, err
	}
	if err := p.able(); err != nil {
		return market.Signature{}, err
	}
	if !p.reconciled(account{client, a.Quote.Channel}) {
		return market.Signature{}, wire.Refuse(wire.NotReconciled, "the two sides have not exchanged this channel's status since they started; ask for it first")
	}
	if kind := a.Job.Kind(); kind != a.Terms.Executor {
		return market.Signature{}, wire.Refuse(wire.BadJob, "the job needs the executor %s, the terms are for %s", kind, a.Terms.Executor).Near("a quote for %s", kind)
	}
	held, err := p.hold(ctx, a)
	if err != nil {
		return market.Signature{}, err
	}
	l := p.newLease(a.Lease.Hash(), client, a.Quote, a.Terms, a.Job)
	l.held, l.devices = held, held.Devices()
	l.exchanged.Store(true)
	var rec ledger.Lease
	err = p.Ledger.Update(ctx, func(tx *ledger.Tx) (err error) {
		if rec, err = p.writeLease(tx, client, a, held); err != nil {
			return err
		}
		l.rec = rec
		p.add(l) // within the write, so that the next accept on this channel counts it
		return nil
	})
	if err != nil {
		p.remove(l)
		held.Release()
		return market.Signature{}, err
	}
	p.start(l, l.prepare)
	p.freeChanged()
	p.Notify(Event{At: p.Now(), Kind: Leased, Peer: client.String(), Lease: l.hash.Hex(), Text: a.Job.Name})
	return market.SignatureFrom(rec.ProviderSignature)
}

// answered finds the stored answer to an accept that comes again.
func (p *Provider) answered(ctx context.Context, a leases.Accepted) (sig market.Signature, done bool, err error) {
	err = p.Ledger.View(ctx, func(tx *ledger.Tx) error {
		rec, err := tx.Lease(ledger.Provider, a.Lease.Hash())
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err == nil {
			done = true
			sig, err = market.SignatureFrom(rec.ProviderSignature)
		}
		return err
	})
	return sig, done, err
}

// hold takes what the lease needs of the machine: what its quote holds, or
// for a stranger what is free now.
func (p *Provider) hold(ctx context.Context, a leases.Accepted) (*capacity.Reservation, error) {
	if held := p.quotes.take(a.Quote.Hash()); held != nil {
		if held.Commit() == nil {
			return held, nil
		}
		held.Release()
	}
	var q ledger.Quote
	err := p.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		q, err = tx.Quote(a.Quote.Hash())
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, wire.Refuse(wire.Unknown, "this provider doesn't know that quote (any more); ask for a new one")
	}
	if err != nil {
		return nil, err
	}
	if !q.Lease.IsZero() {
		return nil, wire.Refuse(wire.WrongState, "the quote was accepted with another job already; ask for a new one")
	}
	request, err := market.DecodeRequest(q.Request)
	if err != nil {
		return nil, err
	}
	need := needOf(request)
	need.Exclusive = !slices.ContainsFunc(a.Terms.Devices, func(d market.Device) bool { return d.Shared }) // as it was quoted, before a restart perhaps
	p.room.Lock()
	held, err := p.Capacity.Reserve(a.Quote.Nonce.Hex(), need, p.Now().Add(wire.AskTimeout))
	p.room.Unlock()
	var short *capacity.Shortage
	switch {
	case errors.As(err, &short):
		return nil, wire.Refuse(wire.Taken, "another client accepted first").Near("%s", short.Error()).After(p.Tick)
	case errors.Is(err, capacity.ErrDuplicate):
		return nil, wire.Refuse(wire.Busy, "the quote is being accepted already; send the accept again").After(time.Second)
	case err != nil:
		return nil, err
	}
	return held, held.Commit()
}

// writeLease is the one write that makes the lease: quote, channel, voucher
// and lease together.
func (p *Provider) writeLease(tx *ledger.Tx, client peer.ID, a leases.Accepted, held *capacity.Reservation) (ledger.Lease, error) {
	q, err := tx.Quote(a.Quote.Hash())
	if err != nil {
		return ledger.Lease{}, err
	}
	ch, err := tx.Channel(ledger.Provider, a.Quote.Channel)
	if errors.Is(err, ledger.ErrNotFound) {
		ch, err = ledger.Channel{ID: a.Quote.Channel, Role: ledger.Provider, Peer: client.String(), Chain: p.chain}, nil
	}
	if err != nil {
		return ledger.Lease{}, err
	}
	holding, err := json.Marshal(held.Holding())
	if err != nil {
		return ledger.Lease{}, err
	}
	rec := ledger.Lease{
		Hash: a.Lease.Hash(), Role: ledger.Provider, Peer: client.String(), Channel: a.Quote.Channel, Chain: p.chain,
		Quote: a.Block, QuoteSignature: a.Signature[:], Request: q.Request, Terms: a.TermBlock, Block: a.LeaseBlock,
		ClientSignature: a.ClientSignature[:], Job: a.JobBlock, Holding: holding,
	}
	acceptance := books.Acceptance{Quote: a.Quote, Terms: a.Terms, Lease: rec, Config: a.Config.Encode()}
	if a.Voucher != nil {
		acceptance.Voucher = &books.Voucher{Voucher: *a.Voucher, Signature: a.VoucherSignature}
	}
	counter := books.Counter{Quote: q, Channel: ch, Running: p.stakes(ch.ID), CreditLeft: p.creditLeft(client)}
	w, err := p.side.Accept(counter, acceptance, p.nowMillis())
	if err != nil {
		return ledger.Lease{}, notAccepted(err)
	}
	return *w.Lease, w.Store(tx)
}
