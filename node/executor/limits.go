package executor

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/executor",
		limit.Size("arguments and environment of a job, with a byte or two after each", MaxStrings, "the job doesn't start"),
		limit.Size("ID of an execution", MaxID, "the job doesn't start"),
	)
}
