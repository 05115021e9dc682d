package books

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused = "the receipt isn't countersigned"
	return limit.In("node/books", limit.OnTheWire(
		limit.Time("shortest grace of a tick for its countersignature", MinGrace, "it is no shorter").AtLeast(),
		limit.Time("longest grace of a tick for its countersignature", MaxGrace, "the lease stops, or those that owe more"),
		limit.Time("units of a receipt above the client's own time", StartSlack, refused),
		limit.Time("charged time of stopping a process", StopTime, refused),
		limit.Of("receipts beyond one for each tick that has passed", spareReceipts, refused),
	)...)
}
