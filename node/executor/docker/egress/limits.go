package egress

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const none = "the job gets no connection"
	return limit.In("node/executor/docker/egress",
		limit.Of("connections of a job at once", defaultConnections, none),
		limit.Of("new connections of a job in a second", defaultPerSecond, "they wait"),
		limit.Of("new connections of a job together, without a wait", burst*defaultPerSecond, "they wait"),
		limit.Time("silence on a connection of a job", defaultIdle, "it is closed"),
		limit.Time("saying which place a connection of a job is to", headerTimeout, "it is closed"),
		limit.Size("name of a place that a job connects to", maxHost, "the job doesn't start"),
		limit.Of("addresses of a place that are tried", maxAddresses, "the others are left out"),
		limit.Time("finding and reaching a place that a job connects to", dialTimeout, none),
		limit.Time("reaching one address of a place that a job connects to", attemptLimit, "the next one is tried"),
	)
}
