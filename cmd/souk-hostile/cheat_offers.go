package main

import (
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
	"souk/protocol/offer"
)

// The ways to cheat with offers and quotes.

const liarFactor = 3

func liar() cheat {
	return cheat{
		name: "liar", does: "quotes three times the price that its offer says",
		price: func(asked market.Amount) market.Amount { return asked.Times(liarFactor) },
	}
}

func forged() cheat {
	return cheat{
		name: "forged", does: "hands on forged offers of its neighbours: not theirs, expired, of another network, valid for ever",
		offers: func(s *shop, own []byte) ([][]byte, error) {
			others, err := s.forgeries()
			s.say("handing on %d forged offers", len(others))
			return append([][]byte{own}, others...), err
		},
	}
}

// forgeries are offers that are too good to be true, and aren't.
func (s *shop) forgeries() ([][]byte, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	bait := func(change func(*offer.Offer)) offer.Offer {
		o := s.offerNow(time.Now())
		o.Peer, o.PricePerHour = id, market.NewAmount(1)
		change(&o)
		return o
	}
	var out [][]byte
	for _, f := range []struct {
		o   offer.Offer
		key crypto.PrivKey
	}{
		{bait(func(*offer.Offer) {}), s.cfg.key}, // signed by this peer, about another
		{bait(func(o *offer.Offer) { o.ExpiresAt = time.Now().Add(-time.Hour) }), key},
		{bait(func(o *offer.Offer) { o.Network += "-other" }), key},
		{bait(func(o *offer.Offer) { o.ExpiresAt = time.Now().Add(240 * time.Hour) }), key},
	} {
		sealed, err := offer.Seal(f.o, f.key)
		if err != nil {
			return nil, err
		}
		out = append(out, sealed)
	}
	return out, nil
}
