package prover

import (
	"fmt"
	"time"

	"souk/internal/limit"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/prover", append(limit.OnTheWire(
		limit.Of(fmt.Sprintf("challenges of a peer, and one more every %d s", Again/time.Second), PerPeer, "refused with rate_limited"),
	),
		limit.Of("peers whose challenges are remembered", maxPeers, "who was quiet for longest is forgotten"),
	)...)
}
