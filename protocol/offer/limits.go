package offer

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused = "the offer is refused"
	return limit.In("protocol/offer", append(limit.OnTheWire(
		limit.Size("offer", MaxBytes, refused),
		limit.Of("addresses in an offer", MaxAddrs, refused),
		limit.Of("kinds of device in an offer", MaxKinds, refused),
		limit.Of("executors in an offer", MaxExecutors, refused),
		limit.Size("word in an offer", maxWord, refused),
		limit.Time("validity of an offer, ahead", Validity+Tolerance, refused),
		limit.Time("difference of two clocks", Tolerance, "the offer is refused, a quote with clock_skew"),
		limit.Of("measurements of one kind of device in an offer", MaxMeasured, refused),
		limit.Of("measurements in an offer", MaxAllMeasured, refused),
		limit.Time("age of a measurement", MeasuredFor+Tolerance, refused),
	), limit.OnTheWire(
		limit.Of("offers in an answer", MaxAnswer, "the others are left out"),
	)...)...)
}
