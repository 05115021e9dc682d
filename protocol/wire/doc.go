// Package wire is how souk's protocols talk over a libp2p stream: framing,
// size caps, deadlines, refusals, and the one dispatcher in front of every
// handler.
//
// It promises that nothing is allocated for a peer before its size is known
// to be under a named cap and reserved in the stream's resource scope, that
// no read or write waits without a deadline, and that a handler's error
// decides in one place what happens to the peer. It never looks into a
// document: what the bytes mean is protocol/market's.
package wire
