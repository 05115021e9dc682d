package control

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/control", limit.Size("question on the node's socket", maxBody, "refused with bad_request"))
}
