package provider

import (
	"context"
	"slices"
	"time"

	"souk/node/capacity"
	"souk/node/device"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// resealAfter is how old an offer gets before it is signed anew.
const resealAfter = time.Minute

type sealed struct {
	bytes    []byte
	at       time.Time
	sequence uint64
}

// SealedOffers is the provider's own offer and up to limit-1 of its neighbours'.
func (p *Provider) SealedOffers(_ context.Context, limit int) ([][]byte, error) {
	if err := p.able(); err != nil {
		return nil, err
	}
	own, err := p.own()
	if err != nil {
		return nil, err
	}
	_, others := p.Offers.Fresh(p.Now(), limit)
	answer := append([][]byte{own}, others...)
	return answer[:min(len(answer), limit)], nil
}

func (p *Provider) own() ([]byte, error) {
	changed := p.Changed()
	now, o := p.Now(), p.Offer()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.offer.bytes != nil && now.Sub(p.offer.at) < resealAfter {
		return p.offer.bytes, nil
	}
	// Millisecond time as the sequence: it grows over restarts without being stored.
	o.Sequence = max(uint64(now.UnixMilli()), p.offer.sequence+1) //nolint:gosec // after 1970
	b, err := offer.Seal(o, p.Key)
	if err != nil {
		return nil, err
	}
	p.offer = sealed{at: now, sequence: o.Sequence}
	if changed == p.changed { // else it is of before the change, and the next one is made anew
		p.offer.bytes = b
	}
	return b, nil
}

// Offer is what the provider has free now, and its price.
func (p *Provider) Offer() offer.Offer {
	free := p.unleased()
	o := offer.Offer{
		Network: p.Network, Peer: p.Host.ID(), ExpiresAt: p.Now().Add(offer.Validity), Addrs: maxAddrs(p.Addrs()),
		CPU: free.CPU, Memory: free.Memory, Disk: free.Disk, CPUTotal: p.Total.CPU, MemoryTotal: p.Total.Memory, DiskTotal: p.Total.Disk,
		Executors: p.shelf.able(), Speed: p.Speed,
		Region: p.Region, PricePerHour: p.hourly(), Settlement: "none", Chain: p.chain, Tick: p.Tick, MaxTime: p.MaxTime, Challenge: p.Challenge, Egress: p.Egress,
	}
	for _, g := range device.Groups(p.Capacity.Total().Devices) {
		d := offer.Device{Device: market.Device{Model: g.Model, Slug: g.Slug, VRAM: g.VRAM, Count: g.Count, Evidence: string(g.Kind), Shared: p.Total.Shares > 1}}
		for _, f := range device.Groups(free.Devices) {
			if f.Slug == g.Slug && f.VRAM == g.VRAM && f.Kind == g.Kind && f.Model == g.Model {
				d.Free = f.Count
			}
		}
		o.Devices = append(o.Devices, p.withMeasured(d))
	}
	return o
}

// unleased is what no lease has. An open quote's hold counts as free: it lasts
// seconds, and an offer that left it out would turn away the very client that
// the quote was for.
func (p *Provider) unleased() capacity.Total {
	free := p.Capacity.Free()
	held := map[string]bool{}
	for _, h := range p.quotes.held() {
		free.CPU, free.Memory, free.Disk = free.CPU+h.CPU, free.Memory+h.Memory, free.Disk+h.Disk
		for _, id := range h.DeviceIDs {
			held[id] = true
		}
	}
	if len(held) == 0 {
		return free
	}
	for _, d := range free.Devices {
		held[d.ID] = true
	}
	free.Devices = nil
	for _, d := range p.Capacity.Total().Devices {
		if held[d.ID] {
			free.Devices = append(free.Devices, d)
		}
	}
	free.CPU, free.Memory, free.Disk = min(free.CPU, p.Total.CPU), min(free.Memory, p.Total.Memory), min(free.Disk, p.Total.Disk)
	return free
}

// Standing is what the provider can be looked up under: the VRAM of its
// largest free device (0 without one) and the slugs of all its devices.
func (p *Provider) Standing() (vram int64, slugs []string) {
	for _, d := range p.unleased().Devices {
		vram = max(vram, d.VRAM)
	}
	for _, d := range p.Capacity.Total().Devices {
		for _, s := range d.Slugs() {
			if !slices.Contains(slugs, s) {
				slugs = append(slugs, s)
			}
		}
	}
	return vram, slugs
}

// tickMillis is the tick in the unit of quotes.
func (p *Provider) tickMillis() uint64 { return uint64(p.Tick.Milliseconds()) } //nolint:gosec // 1 s to 1 h

// hourly is the price per hour that follows from the tick's price.
func (p *Provider) hourly() market.Amount {
	q := market.Quote{TickUnits: p.tickMillis(), TickPrice: market.TickPrice(p.Price, p.tickMillis())}
	return q.PricePerHour()
}

// missed records a demand that the provider could not meet, and why.
func (p *Provider) missed(who string, r market.Request, err error) {
	refusal := wire.AsRefusal(err)
	p.Log.Info("demand missed", "client", who, "why", refusal.Error(), "code", refusal.Code, "cpu", r.CPU, "memory", r.Memory, "gpu", r.GPU)
	p.Notify(Event{At: p.Now(), Kind: Missed, Peer: who, Text: refusal.Error()})
}
