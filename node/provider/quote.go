package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/money"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// Quote answers a request; what can't be met is refused with the nearest miss.
func (p *Provider) Quote(ctx context.Context, client peer.ID, a leases.Asked) (leases.Quoted, error) {
	q, err := p.quote(ctx, client, a)
	if err != nil {
		p.missed(client.String(), a.Request, err)
	}
	return q, stored(err)
}

func (p *Provider) quote(ctx context.Context, client peer.ID, a leases.Asked) (leases.Quoted, error) {
	if err := p.able(); err != nil {
		return leases.Quoted{}, err
	}
	if err := p.acceptable(a); err != nil {
		return leases.Quoted{}, err
	}
	known, err := p.known(ctx, client)
	if err != nil {
		return leases.Quoted{}, err
	}
	standing := standingOf(known)
	if standing.regular {
		p.Regular(client)
	}
	if err := p.quotes.room(client, standing, p.Now()); err != nil {
		return leases.Quoted{}, err // before any work; counted again below
	}
	nonce := market.Hash{}
	_, _ = rand.Read(nonce[:]) // never fails
	held, devices, err := p.reserve(client, a.Request, nonce, known)
	if err != nil {
		return leases.Quoted{}, err
	}
	q, err := p.sign(a, nonce, devices, p.creditTicks(client, known))
	if err != nil {
		release(held)
		return leases.Quoted{}, err
	}
	if err := p.quotes.add(q.Quote.Hash(), openQuote{peer: client, expires: p.Now().Add(QuoteValidity), hold: held}, standing, p.Now()); err != nil {
		release(held)
		return leases.Quoted{}, err
	}
	err = p.Ledger.Update(ctx, func(tx *ledger.Tx) error { return tx.PutQuote(p.quoteRecord(client, a, q)) })
	if err != nil {
		release(p.quotes.take(q.Quote.Hash()))
		return leases.Quoted{}, err
	}
	return q, nil
}

// reserve finds room for a request. Only for a peer that has paid before it
// is held; for a stranger the first accept wins. What the same peer's open
// quotes hold gives way: it may want this one in their place, such as after
// another provider failed it.
func (p *Provider) reserve(client peer.ID, r market.Request, nonce market.Hash, known ledger.Peer) (*capacity.Reservation, []market.Device, error) {
	p.room.Lock()
	defer p.room.Unlock()
	held, err := p.Capacity.Reserve(nonce.Hex(), needOf(r), p.Now().Add(QuoteValidity))
	if err != nil && p.quotes.yield(client) {
		held, err = p.Capacity.Reserve(nonce.Hex(), needOf(r), p.Now().Add(QuoteValidity))
	}
	if err != nil {
		return nil, nil, p.shortage(r, err)
	}
	devices := deviceTerms(held.Devices(), held.Holding().Shared)
	if err := usable(r, devices); err != nil {
		held.Release()
		return nil, nil, err
	}
	if known.Paid.IsZero() {
		held.Release()
		held = nil
	}
	return held, devices, nil
}

func release(r *capacity.Reservation) {
	if r != nil {
		r.Release()
	}
}

// acceptable checks what doesn't depend on what is free.
func (p *Provider) acceptable(a leases.Asked) error {
	r := a.Request
	skew := p.Now().Sub(time.UnixMilli(int64(min(a.ClientAt, 1<<62)))) //nolint:gosec // capped
	switch {
	case r.Network != p.Network:
		return wire.Refuse(wire.WrongNetwork, "this provider is on the network %q, the request is for %q", p.Network, r.Network)
	case skew.Abs() > offer.Tolerance:
		return wire.Refuse(wire.ClockSkew, "the client's clock and this provider's are %s apart, %s is allowed: set the clock that is wrong", skew.Abs().Round(time.Second), offer.Tolerance)
	case r.Region != "" && r.Region != "any" && r.Region != p.Region:
		return wire.Refuse(wire.NoMatch, "the region %s is wanted", r.Region).Near("this provider is in %s", p.Region)
	case a.Config.Token != market.Address{}:
		return wire.Refuse(wire.NoMatch, "no payment in token %s here", a.Config.Token).Near("this provider takes the unit of account, USD")
	case time.Duration(r.MaxMillis)*time.Millisecond > p.MaxTime: //nolint:gosec // at most 30 days
		return wire.Refuse(wire.OverLimit, "%s of running time is wanted", time.Duration(r.MaxMillis)*time.Millisecond).Near("this provider leases for at most %s", p.MaxTime) //nolint:gosec // at most 30 days
	case r.InputBytes > market.MaxInputBytes:
		return wire.Refuse(wire.OverLimit, "inputs of %d bytes", r.InputBytes).Near("at most %d bytes are taken", int64(market.MaxInputBytes))
	case r.PriceLimit != nil && r.PriceLimit.Less(p.hourly()):
		return wire.Refuse(wire.OverPrice, "the price limit is %s", money.FormatPrice(*r.PriceLimit)).Near("this provider asks %s", money.FormatPrice(p.hourly()))
	}
	if err := p.runnable(r.Executor); err != nil {
		return err
	}
	return p.suited(r)
}

func (p *Provider) sign(a leases.Asked, nonce market.Hash, devices []market.Device, credit uint32) (leases.Quoted, error) {
	now := p.nowMillis()
	expires := now + uint64(QuoteValidity.Milliseconds())
	startBy := expires + uint64(PrepareTime.Milliseconds())
	terms := market.Terms{
		Network: p.Network, Devices: devices, CPU: a.Request.CPU, Memory: a.Request.Memory, Disk: a.Request.Disk, Egress: a.Request.Egress,
		Executor: a.Request.Executor, Unit: "ms", PrepayTicks: p.Prepay, CreditTicks: credit,
		KeepUntil: startBy + a.Request.MaxMillis + uint64(KeepOutputs.Milliseconds()),
		MaxOutput: min(a.Request.Disk, market.MaxOutputBytes), MaxLog: market.MaxLogBytes, PricePerHour: p.hourly(),
	}
	if len(devices) == 0 {
		terms.Devices = nil
	}
	block, err := terms.Encode()
	if err != nil {
		return leases.Quoted{}, err
	}
	q := market.Quote{
		RequestHash: market.BlockHash(a.Block), TermsHash: market.BlockHash(block), Provider: p.Address(), Client: a.Config.PayerAuthorizer,
		Channel: a.Channel, Unit: market.UnitMillis, TickUnits: p.tickMillis(), TickPrice: market.TickPrice(p.Price, p.tickMillis()),
		MaxTicks:  uint32((a.Request.MaxMillis + p.tickMillis() - 1) / p.tickMillis()), //nolint:gosec // at most 30 days of 1 s ticks
		MaxMillis: a.Request.MaxMillis, StartBy: startBy, ExpiresAt: expires, Nonce: nonce,
	}
	if err := q.Validate(); err != nil {
		return leases.Quoted{}, err
	}
	sig, err := p.signer.Sign(p.chain.Digest(q.Hash()))
	return leases.Quoted{Quote: q, Block: q.Encode(), Signature: sig, Terms: terms, TermBlock: block, Config: a.Config, SignedAt: now}, err
}

func (p *Provider) quoteRecord(client peer.ID, a leases.Asked, q leases.Quoted) ledger.Quote {
	return ledger.Quote{
		Hash: q.Quote.Hash(), Peer: client.String(), Block: q.Block, Signature: q.Signature[:], Request: a.Block, Terms: q.TermBlock,
		Channel: a.Channel, Config: a.Config.Encode(), ExpiresAt: q.Quote.ExpiresAt,
	}
}

// known is what the books say about a client; the zero record for a stranger.
func (p *Provider) known(ctx context.Context, client peer.ID) (rec ledger.Peer, err error) {
	err = p.Ledger.Peek(ctx, func(tx *ledger.Tx) (err error) {
		rec, err = tx.Peer(client.String())
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.Peer{ID: client.String()}, nil
	}
	return rec, err
}

// creditTicks grows with the receipts that the client countersigned, as far
// as the caps leave room beside the leases that run.
func (p *Provider) creditTicks(client peer.ID, known ledger.Peer) uint32 {
	credit := uint32(min(known.Receipts/CreditEvery, MaxCreditTicks)) //nolint:gosec // at most 10
	price, left := market.TickPrice(p.Price, p.tickMillis()), p.creditLeft(client)
	for credit > 0 && left.Less(price.Times(uint64(credit))) {
		credit--
	}
	return credit
}

func (p *Provider) shortage(r market.Request, err error) error {
	var s *capacity.Shortage
	if !errors.As(err, &s) {
		return err
	}
	what := fmt.Sprintf("%d cores, %d MiB of memory, %d MiB of disk", r.CPU, r.Memory>>20, r.Disk>>20)
	if r.GPU != nil {
		what = fmt.Sprintf("%dx %s, %s", r.GPU.Count, r.GPU.Name, what)
	}
	if s.Never() {
		return wire.Refuse(wire.NoMatch, "this provider hasn't %s", what).Near("%s", s.Error())
	}
	return wire.Refuse(wire.Busy, "%s are not free now", what).Near("%s", s.Error()).After(p.Tick)
}

func needOf(r market.Request) capacity.Need {
	n := capacity.Need{CPU: r.CPU, Memory: r.Memory, Disk: r.Disk, Exclusive: r.Exclusive}
	if r.GPU == nil {
		return n
	}
	n.Devices = device.Need{Count: r.GPU.Count, VRAM: r.GPU.VRAM, AllowSimulated: r.AllowSimulated}
	if r.GPU.Name != device.AnyModel {
		n.Devices.Name, n.Devices.Slug = r.GPU.Name, device.Slug(r.GPU.Name)
	}
	return n
}
