package modmath

import (
	"crypto/sha256"
	"encoding/binary"
)

// Matrix is a pseudo-random square matrix modulo P that isn't stored.
type Matrix struct {
	n int
	d [5]uint32 // the first five words of the digest
}

// NewMatrix names matrix number of seed, of order n, at most MaxN.
func NewMatrix(seed Seed, number uint32, n int) Matrix {
	digest := sha256.Sum256(binary.LittleEndian.AppendUint32(append([]byte("souk matrix 1"), seed[:]...), number))
	m := Matrix{n: n}
	for i := range m.d {
		m.d[i] = binary.LittleEndian.Uint32(digest[4*i:])
	}
	return m
}

// Words are what a kernel needs to make the entries: the key (0, 1) and the
// three upper words of the counter (2, 3, 4).
func (m Matrix) Words() [5]uint32 { return m.d }

// Entries writes the entries from, from+1, ... in row-major order to all of dst.
func (m Matrix) Entries(dst []uint32, from int) {
	var four [4]uint32
	for i := 0; i < len(dst); {
		at := from + i
		four[0], four[1], four[2], four[3] = philox(uint32(at/4), m.d[2], m.d[3], m.d[4], m.d[0], m.d[1])
		for lane := at % 4; lane < 4 && i < len(dst); lane++ {
			dst[i] = reduceWord(four[lane])
			i++
		}
	}
}

func reduceWord(w uint32) uint32 {
	w = w&P + w>>31
	if w >= P {
		w -= P
	}
	return w
}

// Apply returns the matrix times the column x of n residues, in n² steps.
func (m Matrix) Apply(x []uint32) []uint32 {
	y, row := make([]uint32, m.n), make([]uint32, m.n)
	for r := range y {
		m.Entries(row, r*m.n)
		y[r] = Dot(row, x)
	}
	return y
}

// Dot is the sum of a[i]·b[i] modulo P; b must be as long as a.
func Dot(a, b []uint32) uint32 {
	b = b[:len(a)]
	var sum uint64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		// Four products and a folded sum stay under 2^64.
		sum = fold(sum) + uint64(a[i])*uint64(b[i]) + uint64(a[i+1])*uint64(b[i+1]) +
			uint64(a[i+2])*uint64(b[i+2]) + uint64(a[i+3])*uint64(b[i+3])
	}
	for ; i < len(a); i++ {
		sum = fold(sum) + uint64(a[i])*uint64(b[i])
	}
	return Reduce(sum)
}

// Vector returns n pseudo-random residues: row 0 of matrix 2^32−1 of seed. It
// is what a verifier makes its secret column of.
func Vector(seed Seed, n int) []uint32 {
	x := make([]uint32, n)
	NewMatrix(seed, 1<<32-1, n).Entries(x, 0)
	return x
}
