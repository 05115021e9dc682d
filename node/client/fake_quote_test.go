package client_test

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

func (f *fake) SealedOffers(context.Context, int) ([][]byte, error) {
	o := offer.Offer{
		Network: network, Peer: f.host.ID(), Sequence: uint64(time.Now().UnixNano()), ExpiresAt: time.Now().Add(time.Minute + f.script.skew), Addrs: f.host.Addrs(),
		CPU: 8 - f.script.leased, CPUTotal: 8, Memory: 8 << 30, Disk: 8 << 30, Executors: f.executors(), Speed: max(f.script.speed, 1), Region: "eu",
		PricePerHour: f.perHour(), Settlement: "none", Chain: f.chain, Tick: time.Second, MaxTime: time.Hour,
		Egress: f.script.net, Challenge: f.script.proves,
	}
	if f.script.device != nil {
		o.Devices = []offer.Device{*f.script.device}
	}
	sealed, err := offer.Seal(o, f.key)
	return [][]byte{sealed}, err
}

func (f *fake) Quote(_ context.Context, _ peer.ID, a lease.Asked) (lease.Quoted, error) {
	now := uint64(time.Now().UnixMilli())
	f.mu.Lock()
	f.asked = a.Request
	f.quoted++
	hurried := f.quoted <= f.script.hurriedQuotes
	f.mu.Unlock()
	if hurried {
		return lease.Quoted{}, wire.Refuse(wire.RateLimited, "slower")
	}
	terms := market.Terms{
		Network: network, CPU: a.Request.CPU, Memory: a.Request.Memory, Disk: a.Request.Disk, Executor: a.Request.Executor, Egress: a.Request.Egress, Unit: "ms",
		PrepayTicks: 1, KeepUntil: now + 3600_000, MaxOutput: 1 << 20, MaxLog: 1 << 20, PricePerHour: f.perHour(),
	}
	if f.script.device != nil && a.Request.GPU != nil {
		terms.Devices = []market.Device{f.script.device.Device}
	}
	block, err := terms.Encode()
	if err != nil {
		return lease.Quoted{}, err
	}
	if f.script.hugeLog {
		terms.MaxLog = 1 << 40
		if block, err = terms.Encode(); err != nil {
			return lease.Quoted{}, err
		}
	}
	q := market.Quote{
		RequestHash: market.BlockHash(a.Block), TermsHash: market.BlockHash(block), Provider: f.signer.Address(), Client: a.Config.Payer,
		Channel: a.Channel, TickUnits: 1000, TickPrice: market.TickPrice(f.perHour(), 1000), MaxTicks: uint32((a.Request.MaxMillis + 999) / 1000),
		MaxMillis: a.Request.MaxMillis, ExpiresAt: now + 30_000, StartBy: now + 60_000,
	}
	if f.script.dearer > 0 {
		q.TickPrice = q.TickPrice.Times(f.script.dearer)
	}
	if f.script.longTick {
		q.TickUnits, q.TickPrice, q.MaxTicks = 3600_000, market.TickPrice(f.perHour(), 3600_000), 1
	}
	if f.script.longer {
		q.MaxMillis *= 2
	}
	_, _ = rand.Read(q.Nonce[:])
	sig, err := f.signer.Sign(f.chain.Digest(q.Hash()))
	out := lease.Quoted{Quote: q, Block: q.Encode(), Signature: sig, Terms: terms, TermBlock: block, Config: a.Config, SignedAt: now}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quotes[q.Hash()] = out
	return out, err
}
