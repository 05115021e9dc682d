package config

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/config",
		limit.Size("config file", maxFile, "the node doesn't start"),
		limit.Of("leases at once on a device that is shared", maxShared, "the node doesn't start"),
	)
}
