package provider

import (
	"souk/internal/limit"
	"souk/protocol/market"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/provider", append(limit.OnTheWire(
		limit.Time("validity of a quote", QuoteValidity, "refused with expired"),
		limit.Of("open quotes of a peer", OpenQuotes, "refused with busy"),
		limit.Of("open quotes of a peer with 20 countersigned receipts", RegularQuotes, "refused with busy"),
		limit.Size("inputs of a job in a request", market.MaxInputBytes, "refused with over_limit"),
		limit.Of("ticks of credit to a stranger", 0, "not given"),
		limit.Of("ticks of credit", MaxCreditTicks, "not given"),
	),
		limit.Time("preparing a lease, from its quote's end", PrepareTime, "it ends as expired, uncharged"),
		limit.Time("silence of a client while its inputs come, and before it attaches", DefaultPatience, "the lease ends as expired, uncharged"),
		limit.Time("keeping outputs, from the latest end of a lease", KeepOutputs, "they are removed"),
		limit.Money("credit to one client", DefaultCaps().Peer.Big().Int64(), "quotes give fewer ticks of credit").By("provider.cap_peer"),
		limit.Money("credit to all clients together", DefaultCaps().Total.Big().Int64(), "quotes give fewer ticks of credit").By("provider.cap_total"),
		limit.Of("open quotes of a provider, for strangers", maxOpen, "refused with busy"),
	)...)
}
