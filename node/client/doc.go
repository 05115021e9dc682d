// Package client is the buying side of souk: it finds providers, asks them
// for quotes, leases one, sends a job's inputs, pays for its ticks as they
// come, and brings back log and outputs.
//
// It promises that nothing is signed before it is in the ledger, that what a
// channel's voucher says never falls, that no receipt is countersigned which
// its provider couldn't honestly have signed, and that a job costs at most its
// limits.total over all its executions. After a crash at any instant Start
// takes every job and lease up where the ledger left it.
//
// It never leases a provider that cheated this node, never gives a lease that
// it gave up a further voucher, never runs a job again after job_failed, and
// holds no lock across the network. What outputs are worth it can't tell.
package client
