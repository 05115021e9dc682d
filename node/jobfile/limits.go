package jobfile

import (
	"souk/internal/limit"
	"souk/protocol/market"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused = "the job is not submitted"
	return limit.In("node/jobfile",
		limit.Size("job file", MaxFile, refused),
		limit.Of("retries of a job", MaxRetries, refused),
		limit.Size("WASM module", market.MaxModuleBytes, refused),
		limit.Size("files of a job's inputs together", market.MaxInputBytes, refused),
	)
}
