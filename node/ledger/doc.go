// Package ledger is a node's durable book: quotes, leases, receipts,
// vouchers, channels, jobs and what is known about peers.
//
// It promises that when Update returns nil, what it wrote is synced to disk
// and survives kill -9 and power loss, that an Update sees every earlier one
// and is applied whole or not at all, and that View never shows what isn't
// durable yet: so a promise may be spoken as soon as either returns, and none
// for what Peek showed. One process holds a ledger at a time. It checks no signature and decides no
// transition: those are protocol/market's.
package ledger
