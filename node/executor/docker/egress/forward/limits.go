package forward

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const reset = "the job's connection is reset"
	return limit.In("node/executor/docker/egress/forward",
		limit.Of("connections of a job that its container keeps", maxConnections, "the next waits until one ends"),
		limit.Time("a node's restart while a job connects somewhere", reconnectFor, reset),
		limit.Time("a node's answer to a job that connects somewhere", answerTimeout, reset),
	)
}
