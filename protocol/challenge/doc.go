// Package challenge is /souk/challenge/1.0.0: how a client finds out what a
// provider's devices compute and remember, under a deadline and all at once,
// rather than believe it.
//
// The client asks in turns on one stream: for a product of pseudo-random
// matrices on some of the devices, whose hash it gets before the product
// itself, and which it checks by Freivalds' method; then for memory to be filled,
// read in one sweep and walked through at random. Every number is made of a seed
// that names the network, both peers, a fresh nonce, and the device, so that an
// answer is good for one question only: neither an older one, nor one
// that another provider gave, nor the same one for two devices.
//
// It promises that a verdict which accuses names what was caught, that
// a wrong residue in a product that was shown passes with a chance under 2^-30, that a provider that refuses, breaks off or
// is cut off is never accused, and that neither side waits without a deadline or
// keeps more than a named cap. It tells a rate, not silicon: what a verdict is
// worth is in docs/challenge.md. It never runs a kernel; node/prover does.
package challenge

import (
	"time"

	"souk/internal/modmath"
	"souk/protocol/wire"
)

// Limits of one conversation.
const (
	MaxCount    = 64        // devices
	MaxOrder    = 4096      // of a matrix
	MaxResult   = 256 << 20 // bytes of all results of one answer
	MaxPasses   = 64        // of one sweep
	MaxProducts = 12        // products asked for, those that find out a rate included
	MaxMemory   = 4         // sweeps, and chases
	MaxPings    = 8

	// MaxTime ends a conversation, however it goes on. It is longer than what
	// the questions of one challenge may take together.
	MaxTime = 3 * time.Minute
	// MaxWork is the longest that one answer may take; the client waits a frame longer.
	MaxWork = 60 * time.Second

	nonceBytes = 32
	frameBytes = 256 << 10 // of data at once; under wire.MaxData
	slugBytes  = 64
)

// BlockBytes is the size of a block of memory.
const BlockBytes = modmath.BlockBytes

const controlLimit = wire.MaxControl
