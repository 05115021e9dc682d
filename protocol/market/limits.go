package market

import (
	"time"

	"souk/internal/limit"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused = "the document is refused"
	return limit.In("protocol/market", limit.OnTheWire(
		limit.Size("DAG-JSON document", MaxBlock, refused),
		limit.Of("maps and lists in one another in a document", maxDepth, refused),
		limit.Size("name of a network or executor", MaxWordBytes, refused),
		limit.Of("cores in a request", MaxCPU, refused),
		limit.Of("GPUs in a request", MaxGPUs, refused),
		limit.Of("kinds of device in the terms", MaxKinds, refused),
		limit.Of("devices whose use a receipt tells", MaxDeviceUses, refused),
		limit.Of("places that a job may connect to", MaxEgress, refused),
		limit.Size("name of a job", MaxNameBytes, refused),
		limit.Of("arguments of a job", MaxArgs, refused),
		limit.Of("environment variables of a job", MaxEnv, refused),
		limit.Of("inputs of a job", MaxInputs, refused),
		limit.Size("path in a job", MaxPathBytes, refused),
		limit.Size("reference of an image", MaxRefBytes, refused),
		limit.Time("shortest tick", MinTickMillis*time.Millisecond, refused).AtLeast(),
		limit.Time("longest tick", MaxTickMillis*time.Millisecond, refused),
		limit.Time("running time of a lease", MaxLeaseMillis*time.Millisecond, refused),
		limit.Of("ticks of prepayment or credit in the terms", MaxTermTicks, refused),
	)...)
}
