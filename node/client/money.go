package client

import (
	"souk/internal/money"
	"souk/protocol/market"
)

// usd writes an amount for people.
func usd(a market.Amount) string { return money.Format(a) }
