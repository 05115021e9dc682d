package client

import (
	"souk/internal/limit"
	"souk/protocol/market"
	"souk/protocol/offer"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused = "the quote is refused"
	return limit.In("node/client", append(limit.OnTheWire(
		limit.Of("ticks paid ahead", maxPrepay, refused),
		limit.Size("log of a lease", market.MaxLogBytes, refused+"; a job's log is cut there with a notice"),
		limit.Size("outputs of a lease", market.MaxOutputBytes, refused+"; a job that writes more fails"),
		limit.Time("time from the end of a quote to the start", maxPrepare, refused),
		limit.Time("validity of another's quote", offer.Validity, refused),
	),
		limit.Of("peers asked in one search", maxAsked, "the others are not asked"),
		limit.Of("plans that are kept", maxPlans, "the oldest is forgotten"),
	)...)
}
