package run

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("protocol/run", limit.OnTheWire(
		limit.Size("log in one frame", MaxLog, "malformed"),
	)...)
}
