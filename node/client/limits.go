package client

import (
	"souk/internal/limit"
	"souk/protocol/market"
	"souk/protocol/offer"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused, noMore = "the quote is refused", "no higher voucher is signed"
	return limit.In("node/client", append(limit.OnTheWire(
		limit.Of("ticks paid ahead", maxPrepay, refused),
		limit.Size("log of a lease", market.MaxLogBytes, refused+"; a job's log is cut there with a notice"),
		limit.Size("outputs of a lease", market.MaxOutputBytes, refused+"; a job that writes more fails"),
		limit.Time("time from the end of a quote to the start", maxPrepare, refused),
		limit.Time("validity of another's quote", offer.Validity, refused),
	),
		limit.Money("what one provider could keep", dollars(DefaultCaps().PerPeer), noMore).By("client.cap_peer"),
		limit.Money("what all providers together could keep", dollars(DefaultCaps().InAll), noMore).By("client.cap_total"),
		limit.Time("silence of a provider, and of a transfer", defaultLost, "the lease is lost").By("client.lost_after"),
		limit.Time("fetching a lease's outputs, in all", maxFetch, "the lease counts as failed by its provider"),
		limit.Size("bytes of outputs a second, on average", minPace, "the lease counts as failed by its provider").AtLeast(),
		limit.Time("age of a plan", planLife, "it is forgotten"),
		limit.Of("peers asked in one search", maxAsked, "the others are not asked"),
		limit.Of("plans that are kept", maxPlans, "the oldest is forgotten"),
		limit.Time("one provider's answer to a request for a quote", quoteWait, "it is left out of this search"),
		limit.Time("exchanging a channel's status, all pages", maxReconcile, "nothing is signed on the channel, and another provider is tried"),
		limit.Time("exchanging a channel's status, until the last lost lease is gone on with", catchUpTime, "the others wait until it is next exchanged"),
		limit.Of("lost leases of a provider that are paid late at once", maxLate, "the others wait until its status is next exchanged"),
		limit.Of("lost leases of a provider of which more is known than its receipts", maxDisputes, "the oldest is forgotten; it is then a person's to pay"),
	)...)
}

func dollars(a market.Amount) int64 { return a.Big().Int64() }
