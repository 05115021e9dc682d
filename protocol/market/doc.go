// Package market holds what souk's documents mean: their types, their
// byte-exact encodings and hashes, who signs them, what a lease costs, and
// which step of a lease may follow which.
//
// It promises to be pure: no I/O, no clock, no goroutine. Every function is
// told the time. A document that it accepts re-encodes to the same bytes, but for
// keys of others ("x-...") in a DAG-JSON one: keep the block that was signed.
// It never imports another package of souk, so any tool can check a receipt
// with this package alone.
package market
