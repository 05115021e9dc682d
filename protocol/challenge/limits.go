package challenge

import (
	"souk/internal/limit"
	"souk/internal/modmath"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const malformed, refused = "malformed", "refused with over_limit"
	return limit.In("protocol/challenge", limit.OnTheWire(
		limit.Of("devices in a challenge", MaxCount, malformed),
		limit.Size("slug in a challenge", slugBytes, malformed),
		limit.Of("order of a matrix in a challenge", MaxOrder, refused),
		limit.Of("rounds of a product in a challenge", modmath.MaxRounds, refused),
		limit.Size("results of one answer in a challenge", MaxResult, refused),
		limit.Of("products in a challenge", MaxProducts, refused),
		limit.Of("sweeps, and chases, in a challenge", MaxMemory, refused),
		limit.Of("passes of a sweep in a challenge", MaxPasses, malformed),
		limit.Of("steps of a chase in a challenge", modmath.MaxSteps, malformed),
		limit.Of("pings in a challenge", MaxPings, refused),
		limit.Time("work for one answer in a challenge", MaxWork, "given up, for the provider's own reasons"),
		limit.Time("a challenge", MaxTime, refused),
	)...)
}
