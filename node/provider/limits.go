package provider

import (
	"souk/internal/limit"
	"souk/protocol/market"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/provider", append(limit.OnTheWire(
		limit.Time("validity of a quote", QuoteValidity, "refused with expired"),
		limit.Of("open quotes of a peer", OpenQuotes, "refused with busy"),
		limit.Of("open quotes of a peer with 20 countersigned receipts", RegularQuotes, "refused with busy"),
		limit.Size("inputs of a job in a request", market.MaxInputBytes, "refused with over_limit"),
		limit.Of("ticks of credit to a stranger", 0, "not given"),
		limit.Of("ticks of credit", MaxCreditTicks, "not given"),
	),
		limit.Of("open quotes of a provider, for strangers", maxOpen, "refused with busy"),
	)...)
}
