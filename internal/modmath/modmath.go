// Package modmath is the arithmetic of challenges to devices: what a provider's
// GPU computes and a client verifies, written once in plain Go.
//
// It is specified to the bit, because OpenCL and CUDA kernels and other
// implementations must agree with it. All arithmetic is on unsigned integers;
// + and · of 64-bit words wrap at 2^64, ^ is exclusive or, >> a logical shift.
//
// It is pure: it reads no clock, starts no goroutine and keeps no state.
//
// # Matrices
//
// Entries are residues modulo P = 2^31−1, in row-major order. A Matrix is named
// by a Seed, a number and its order n. Let d be SHA-256 of the 13 bytes
// "souk matrix 1", the 32 bytes of the seed and the number as 4 bytes, little-endian; and d0..d7
// its 32-bit little-endian words. Entry i = row·n + column is word i mod 4 of
// Philox4x32-10 with the key (d0, d1) and the counter (i/4, d2, d3, d4),
// reduced modulo P. (Of the 2^32 words three fall on each of 0 and 1 and two on every other residue.)
//
// # Blocks
//
// A block is 8,192 64-bit words, 64 KiB. Let mix(z) be the finaliser of
// splitmix64 and G = 0x9e3779b97f4a7c15; s0..s3 are the 64-bit little-endian words of SHA-256 of
// "souk memory 1" and the seed. Of block i
//
//	w[0] = mix(mix(mix(mix(i + s0) ^ s1) ^ s2) ^ s3)
//	w[j] = mix(x + w[((x >> 32)·j) >> 32]·G + w[((x & 0xffffffff)·j) >> 32] + j), where x = w[j−1]
//
// so that a word depends on the one before it and on two others that only the
// data tell: who keeps less than about half of a block recomputes most of it for each word.
//
// # Sums
//
// The sum of a block under a nonce: 128 lanes, lane t starts at a = mix(nonce + t·G) and takes, for
// m = 0..63, w[128·m + t]: a = (a ^ w)·K, a = a ^ (a >> 32), where K = mix(nonce ^ G) | 1.
// The sum is Σ mix(a + t).
//
// # Chases
//
// Step k = 0, 1, ... reads the word v[k] = block[b[k]].w[o[k]] of `blocks` blocks, where
// h[k] = mix(mix(nonce + k·G) ^ v[k−1]), with v[−1] = start,
// b[k] = ((h[k] >> 32)·blocks) >> 32 and o[k] = h[k] & 8191.
package modmath

import "math/bits"

// P is the prime modulus 2^31−1.
const P = 1<<31 - 1

// Seed is what all the numbers of one challenge are made of.
type Seed [32]byte

// Reduce returns x modulo P.
func Reduce(x uint64) uint32 {
	x = fold(fold(x))
	if x >= P {
		x -= P
	}
	return uint32(x)
}

// fold returns a number congruent to x modulo P, under 2^33 + 2^31; twice
// folded it is at most P + 4.
func fold(x uint64) uint64 { return x&P + x>>31 }

// golden is 2^64 divided by the golden ratio.
const golden = 0x9e3779b97f4a7c15

// mix is the finaliser of splitmix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// The constants of Philox4x32: Salmon and others, "Parallel random numbers: as
// easy as 1, 2, 3", 2011.
const (
	philoxM0, philoxM1 = 0xd2511f53, 0xcd9e8d57
	philoxW0, philoxW1 = 0x9e3779b9, 0xbb67ae85
	philoxRounds       = 10
)

// philox is Philox4x32-10.
func philox(c0, c1, c2, c3, k0, k1 uint32) (uint32, uint32, uint32, uint32) {
	for range philoxRounds {
		high0, low0 := bits.Mul32(philoxM0, c0)
		high1, low1 := bits.Mul32(philoxM1, c2)
		c0, c1, c2, c3 = high1^c1^k0, low1, high0^c3^k1, low0
		k0 += philoxW0
		k1 += philoxW1
	}
	return c0, c1, c2, c3
}
