package main

import (
	"context"
	"encoding/hex"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"souk/protocol/market"
	"souk/protocol/offer"
)

type offerVector struct {
	Network   string `json:"network"`
	Peer      string `json:"peer"`
	Sequence  uint64 `json:"sequence"`
	ExpiresAt int64  `json:"expiresAt"` // Unix ms
	Domain    string `json:"domain"`
	Codec     string `json:"codec"`
	Envelope  string `json:"envelope"` // libp2p's signed envelope, whole
}

// sealedOffer is an offer with a device that its provider measured.
func sealedOffer(context.Context) (any, error) {
	k, id, err := key(1)
	if err != nil {
		return nil, err
	}
	at := time.UnixMilli(1_767_225_600_000)
	measured, err := offer.Measurement{Provider: id, Slug: "rtx-4090", Count: 2, Mops: 123_456, MBps: 1_008_000, Touched: 40 << 30, At: at}.Sign(netName, k)
	if err != nil {
		return nil, err
	}
	o := offer.Offer{
		Network: netName, Peer: id, Sequence: 42, ExpiresAt: at.Add(offer.Validity),
		Addrs: []ma.Multiaddr{ma.StringCast("/ip4/203.0.113.7/udp/4001/quic-v1")},
		Devices: []offer.Device{{
			Device: market.Device{Model: "NVIDIA GeForce RTX 4090", Slug: "rtx-4090", VRAM: 24 << 30, Count: 2, Evidence: market.Measured, Shared: true},
			Free:   1, Measured: []offer.Measurement{measured},
		}},
		CPU: 8, Memory: 32 << 30, Disk: 100 << 30, CPUTotal: 16, MemoryTotal: 64 << 30, DiskTotal: 200 << 30, Executors: []string{"wasm", "docker"},
		Speed: 60_000_000, Region: "eu", PricePerHour: market.NewAmount(400_320), Settlement: "none", Chain: market.NoChain(netName),
		Tick: time.Minute, MaxTime: 24 * time.Hour, Challenge: offer.ChallengeLease, Egress: true,
	}
	sealed, err := offer.Seal(o, k)
	if err != nil {
		return nil, err
	}
	if _, err := offer.Open(sealed, netName, at); err != nil {
		return nil, err
	}
	return offerVector{netName, id.String(), o.Sequence, o.ExpiresAt.UnixMilli(), "souk-offer", "/souk/offer/1", hex.EncodeToString(sealed)}, nil
}
