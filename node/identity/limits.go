package identity

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/identity", limit.Size("key file", maxFile, "the node doesn't start"))
}
