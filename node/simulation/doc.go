// Package simulation has no code of its own. Its tests let both sides of many
// leases decide by node/books in one seeded history without real I/O: messages
// get lost, come twice and out of order, nodes crash at every point and keep
// only what they had written, or an older backup of it, and clocks are wrong by
// up to a day and jump. A model of its own, which knows nothing of node/books,
// checks every step. Signatures are cheap fakes behind books.Signer and
// books.Side's Verify, because no history has a forger; real ones are in the
// tests of protocol/lease and cmd/souk-hostile.
package simulation
