package challenge

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// result is what one device answered: residues or words, as they travel in
// little-endian bytes.
type result struct {
	residues []uint32
	words    []uint64
}

func (r result) size() int { return 4*len(r.residues) + 8*len(r.words) }

// chunk gives the bytes of the result from offset on, at most frameBytes of them.
func (r result) chunk(offset int) []byte {
	end := min(offset+frameBytes, r.size())
	out := make([]byte, 0, end-offset)
	for at := offset; at < end && r.residues != nil; at += 4 {
		out = binary.LittleEndian.AppendUint32(out, r.residues[at/4])
	}
	for at := offset; at < end && r.words != nil; at += 8 {
		out = binary.LittleEndian.AppendUint64(out, r.words[at/8])
	}
	return out
}

func (r result) hash() []byte {
	h := sha256.New()
	for at := 0; at < r.size(); at += frameBytes {
		_, _ = h.Write(r.chunk(at)) // a hash takes all
	}
	return h.Sum(nil)
}

// reader takes a result as it comes in and sees that it is what was committed to.
type reader struct {
	want []byte // the hash
	left int    // bytes
	hash interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
	rest []byte // of an entry that came in two pieces
}

func newReader(commit []byte, size int) *reader {
	return &reader{want: commit, left: size, hash: sha256.New()}
}

// take gives whole entries of width bytes to use.
func (r *reader) take(data []byte, width int, use func([]byte)) {
	r.left -= len(data)
	_, _ = r.hash.Write(data) // a hash takes all
	r.rest = append(r.rest, data...)
	for len(r.rest) >= width {
		use(r.rest[:width])
		r.rest = r.rest[width:]
	}
}

func (r *reader) matches() bool { return bytes.Equal(r.hash.Sum(nil), r.want) }
