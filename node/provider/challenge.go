package provider

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/device"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// LeasedDevices are the devices of a client's lease whose time runs, and what is
// closed when it holds them no longer; a refusal says that there is no such lease.
func (p *Provider) LeasedDevices(client peer.ID, lease market.Hash) ([]device.Device, <-chan struct{}, error) {
	l := p.lease(lease)
	if l == nil || l.peer != client || !l.running() {
		return nil, nil, wire.Refuse(wire.Unknown, "no running lease of yours has that ID here")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.held == nil:
		return nil, nil, wire.Refuse(wire.WrongState, "this lease holds no devices any more")
	case l.rec.State != market.Running:
		return nil, nil, wire.Refuse(wire.WrongState, "this lease is only being prepared, and its time doesn't run yet").After(time.Second)
	}
	return l.held.Devices(), l.returned, nil
}

// OfferChanged says that what the offer shows is to be gathered anew.
func (p *Provider) OfferChanged() { p.freeChanged() }

// withMeasured adds what is known of a kind of device beside its driver's word.
func (p *Provider) withMeasured(d offer.Device) offer.Device {
	if p.Measured == nil || d.Evidence != market.Claimed {
		return d
	}
	all := p.Measured(d.Slug, d.Count)
	if len(all) > 0 {
		d.Evidence, d.Measured = market.Measured, all[:min(len(all), offer.MaxMeasured)]
	}
	return d
}
