// Package kernel is what a device must be able to compute for a challenge: a
// product of matrices and a walk through its memory, both specified to the bit by
// internal/modmath. The packages opencl and cuda make Kernels of real devices; CPU
// is the reference in plain Go, for tests and simulated devices.
//
// A Kernel computes what it is asked and measures how long that took. It
// judges nothing, knows no peers and never answers from what it computed before.
package kernel

import (
	"context"
	"time"

	"souk/internal/modmath"
)

// Kernel computes on one device. One call at a time; another one waits. Its
// errors say which device failed and what at.
type Kernel interface {
	// Name is the device's model and what drives it: "NVIDIA GeForce RTX 4090 by OpenCL".
	Name() string
	// DeviceID is the ID under which package device lists the device.
	DeviceID() string
	// Multiply computes the product. It ends soon after ctx does, at
	// the latest when the device has done what it was already given, a few seconds of work.
	Multiply(ctx context.Context, job modmath.Product) (Product, error)
	// Fill fills memory of the device. A *MemoryError is a job that the
	// device has too little memory for. The caller releases what it gets.
	Fill(ctx context.Context, job modmath.Memory) (Memory, error)
	// Close gives back all that the kernel holds; what Fill made must be released before.
	Close() error
}

// Product is a product and how long it took.
type Product struct {
	C    []uint32      // n² residues in row-major order
	Took time.Duration // making the matrices and multiplying them, without bringing C to the host
}

// Memory is a device's memory, filled.
type Memory interface {
	// Took is how long filling took.
	Took() time.Duration
	// Sweep reads every word once and returns the sum of each block under nonce.
	Sweep(ctx context.Context, nonce uint64) (Sums, error)
	// Chase walks steps steps, 1 to modmath.MaxSteps, one after the other.
	Chase(ctx context.Context, nonce, start uint64, steps int) (Trace, error)
	// Release gives the memory back. It is safe to call more than once.
	Release() error
}

// Sums is what a sweep found.
type Sums struct {
	Sums []uint64 // one for each block
	Took time.Duration
}

// Trace is where a chase led.
type Trace struct {
	Words []uint64 // the word that each step read
	Took  time.Duration
}

// MemoryError is a job that needs more memory than the device has free.
type MemoryError struct {
	Device     string
	Want, Have uint64 // bytes; Have is 0 where the driver doesn't tell
}
