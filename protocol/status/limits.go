package status

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("protocol/status", append(
		limit.OnTheWire(
			limit.Size("page of a channel's status", MaxPage, "malformed, before its first byte is read"),
			limit.Of("pages of a channel's status", MaxPages, "malformed"),
		),
		limit.Of("peers whose boot ID is remembered", maxBoots, "who was silent for longest is forgotten"),
	)...)
}
