package client

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/money"
	"souk/protocol/market"
)

// usd writes an amount for people.
func usd(a market.Amount) string { return money.Format(a) }

// shown is the end of a peer ID, enough to tell two apart: their beginnings are alike.
func shown(p peer.ID) string {
	const n = 10
	s := p.String()
	return "…" + s[max(0, len(s)-n):]
}
