package egress

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const none = "the job gets no connection"
	return limit.In("node/executor/docker/egress",
		limit.Time("finding and reaching a place that a job connects to", dialTimeout, none),
		limit.Time("reaching one address of a place that a job connects to", attemptLimit, "the next one is tried"),
	)
}
