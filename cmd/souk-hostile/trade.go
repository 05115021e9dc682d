package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// What it claims to have free, whatever runs.
const (
	claimedCPU    = 64
	claimedMemory = 256 << 30 // bytes
	claimedDisk   = 1 << 40   // bytes
	claimedTime   = 24 * time.Hour

	quoteValidity = 30 * time.Second
	prepareTime   = 10 * time.Minute
	keepOutputs   = time.Hour
	maxOutput     = 1 << 30 // bytes
	maxLog        = market.MaxLogBytes
	resealAfter   = time.Minute
)

// sealedOffer is an offer as it was signed.
type sealedOffer struct {
	bytes []byte
	at    time.Time
}

// SealedOffers is the shop's own offer, and forged ones.
func (s *shop) SealedOffers(_ context.Context, _ int) ([][]byte, error) {
	own, err := s.ownOffer()
	if err != nil {
		return nil, err
	}
	if c := s.cheatNow(); c.offers != nil {
		return c.offers(s, own)
	}
	return [][]byte{own}, nil
}

func (s *shop) ownOffer() ([]byte, error) {
	now := time.Now()
	next := s.offerNow(now) // looks at the lock's data itself
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offer.bytes != nil && now.Sub(s.offer.at) < resealAfter {
		return s.offer.bytes, nil
	}
	b, err := offer.Seal(next, s.cfg.key)
	if err == nil {
		s.offer = sealedOffer{bytes: b, at: now}
	}
	return b, err
}

func (s *shop) offerNow(now time.Time) offer.Offer {
	o := offer.Offer{
		Network: s.cfg.network, Peer: s.host.ID(), Sequence: uint64(now.UnixMilli()), ExpiresAt: now.Add(offer.Validity), //nolint:gosec // after 1970
		Addrs: s.host.Addrs(), CPU: claimedCPU, Memory: claimedMemory, Disk: claimedDisk, Executors: []string{"wasm"},
		Speed: s.cfg.speed, Region: s.cfg.region, PricePerHour: s.quoted(s.cfg.price).PricePerHour(), Settlement: "none", Chain: s.chain,
		Tick: s.cfg.tick, MaxTime: claimedTime,
	}
	if s.cfg.device.Count > 0 {
		o.Devices = []offer.Device{{Device: s.cfg.device, Free: s.cfg.device.Count}}
	}
	if s.cheatNow().proves {
		o.Challenge = offer.ChallengeLease
	}
	return o
}

// quoted has the figures of a quote that follow from a price per hour.
func (s *shop) quoted(perHour market.Amount) market.Quote {
	units := uint64(s.cfg.tick.Milliseconds()) //nolint:gosec // positive
	return market.Quote{Unit: market.UnitMillis, TickUnits: units, TickPrice: market.TickPrice(perHour, units)}
}

// Quote says yes to every request.
func (s *shop) Quote(_ context.Context, client peer.ID, a lease.Asked) (lease.Quoted, error) {
	if a.Request.Network != s.cfg.network {
		return lease.Quoted{}, wire.Refuse(wire.WrongNetwork, "this provider is on the network %q", s.cfg.network)
	}
	price := s.cfg.price
	if c := s.cheatNow(); c.price != nil {
		price = c.price(price)
		s.say("quoting %s per hour to %s, the offer said %s", usd(price), whom(client), usd(s.cfg.price))
	}
	now := uint64(time.Now().UnixMilli()) //nolint:gosec // after 1970
	q := s.quoted(price)
	terms := s.terms(a.Request, now, q.PricePerHour())
	block, err := terms.Encode()
	if err != nil {
		return lease.Quoted{}, err
	}
	q.RequestHash, q.TermsHash, q.Channel = market.BlockHash(a.Block), market.BlockHash(block), a.Channel
	q.Provider, q.Client = s.signer.Address(), a.Config.PayerAuthorizer
	q.MaxMillis = a.Request.MaxMillis
	q.MaxTicks = uint32((q.MaxMillis + q.TickUnits - 1) / q.TickUnits) //nolint:gosec // at most 30 days of 1 s ticks
	q.ExpiresAt = now + uint64(quoteValidity.Milliseconds())
	q.StartBy = q.ExpiresAt + uint64(prepareTime.Milliseconds())
	_, _ = rand.Read(q.Nonce[:]) // never fails
	sig, err := s.signer.Sign(s.chain.Digest(q.Hash()))
	return lease.Quoted{Quote: q, Block: q.Encode(), Signature: sig, Terms: terms, TermBlock: block, Config: a.Config, SignedAt: now}, err
}

func (s *shop) terms(r market.Request, now uint64, perHour market.Amount) market.Terms {
	t := market.Terms{
		Network: s.cfg.network, CPU: r.CPU, Memory: r.Memory, Disk: r.Disk, Executor: r.Executor, Unit: "ms",
		PrepayTicks: 1, KeepUntil: now + r.MaxMillis + uint64((prepareTime + keepOutputs).Milliseconds()),
		MaxOutput: maxOutput, MaxLog: maxLog, PricePerHour: perHour,
	}
	if r.GPU != nil && s.cfg.device.Count > 0 {
		d := s.cfg.device
		d.Count = r.GPU.Count
		t.Devices = []market.Device{d}
	}
	return t
}

// Accept takes every job, whatever voucher comes with it.
func (s *shop) Accept(_ context.Context, client peer.ID, a lease.Accepted) (market.Signature, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	quote := a.Quote.Hash()
	if l := s.byQuote[quote]; l != nil && l.hash == a.Lease.Hash() {
		return l.signature, nil
	} else if l != nil {
		return market.Signature{}, wire.Refuse(wire.WrongState, "the quote was accepted with another job already")
	}
	switch err := s.refused[quote]; {
	case err != nil:
		return market.Signature{}, err
	case s.void[quote]:
		return market.Signature{}, wire.Refuse(wire.Void, "the quote was voided")
	case s.closed || len(s.leases)+len(s.refused) >= maxLeases:
		return market.Signature{}, wire.Refuse(wire.ShuttingDown, "no more leases here")
	}
	c := s.cheatOf(s.requests)
	s.requests++
	if c.refuse != nil {
		err := c.refuse()
		s.refused[quote] = err
		s.say("accept %d, from %s: refused: %v (%s)", s.requests, whom(client), err, c.name)
		return market.Signature{}, err
	}
	sig, err := s.signer.Sign(s.chain.Digest(a.Lease.Hash()))
	if err != nil {
		return market.Signature{}, err
	}
	s.rentOut(newRented(s, client, a, sig, c))
	return sig, nil
}

// rentOut starts a lease. s.mu is held and the shop is open.
func (s *shop) rentOut(l *rented) {
	s.leases[l.hash], s.byQuote[l.a.Quote.Hash()] = l, l
	if l.a.Voucher != nil {
		s.keepVoucher(*l.a.Voucher, l.a.VoucherSignature)
	}
	l.say("agreed with %s on %q at %s per hour; it will be cheated: %s", whom(l.client), l.a.Job.Name, usd(l.a.Quote.PricePerHour()), l.cheat.name)
	s.wg.Go(func() { l.play(s.ctx) })
}
