package client

import "souk/protocol/wire"

// The codes of souk's own failures that no peer sends; wire's codes occur too.
const (
	NoProvider     wire.Code = "no_provider"     // nobody has what is needed
	ProviderFailed wire.Code = "provider_failed" // every execution ended with the provider's failure
	Cheated        wire.Code = "cheated"         // the last provider signed what can't be honest
	Lost           wire.Code = "lost"            // the last provider could not be reached any more
	Unpaid         wire.Code = "unpaid"          // this node didn't cover the last provider's next tick in time
	Cancelled      wire.Code = "cancelled"       // the user asked for it
	OverTotal      wire.Code = "over_total"      // limits.total doesn't pay for one tick
	Disputed       wire.Code = "disputed"        // the provider demands for an ended lease what this node hasn't countersigned
	BadInput       wire.Code = "bad_input"       // an input is missing or unreadable
)

// The exit codes of jobs that didn't end by themselves.
const (
	ExitSouk      = 125 // souk failed
	ExitCancelled = 130 // somebody cancelled it
)
