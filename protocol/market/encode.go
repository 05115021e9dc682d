package market

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/holiman/uint256"
)

// ErrEncoding is a block that isn't the one encoding of its document.
var ErrEncoding = errors.New("not a canonical document")

// word is one 32-byte slot of an EIP-712 encoding.
type word = [32]byte

func wordUint(n uint64) (w word) {
	binary.BigEndian.PutUint64(w[24:], n)
	return w
}

func wordAmount(a Amount) word { return a.v.Bytes32() }

func wordAddress(a Address) (w word) {
	copy(w[12:], a[:])
	return w
}

// encode is the preimage of a struct hash: the type hash and the words.
func encode(typeHash Hash, words ...word) []byte {
	b := make([]byte, 0, 32*(len(words)+1))
	b = append(b, typeHash[:]...)
	for _, w := range words {
		b = append(b, w[:]...)
	}
	return b
}

// reader takes words off a block and remembers the first that was out of its
// type's range.
type reader struct {
	rest []byte
	err  error
}

// decode checks the length and the type hash of a block of n words.
func decode(name string, block []byte, typeHash Hash, n int) (*reader, error) {
	if len(block) != 32*(n+1) {
		return nil, fmt.Errorf("%w: a %s has %d bytes, this one %d", ErrEncoding, name, 32*(n+1), len(block))
	}
	if Hash(block[:32]) != typeHash {
		return nil, fmt.Errorf("%w: the type hash is not that of a %s", ErrEncoding, name)
	}
	return &reader{rest: block[32:]}, nil
}

func (r *reader) hash() Hash {
	h := Hash(r.rest[:32])
	r.rest = r.rest[32:]
	return h
}

func (r *reader) uint(bits int) uint64 {
	w := r.hash()
	n := binary.BigEndian.Uint64(w[24:])
	if [24]byte(w[:24]) != [24]byte{} || (bits < 64 && n>>bits != 0) {
		r.fail("a number is above uint%d", bits)
	}
	return n
}

func (r *reader) amount() Amount {
	w := r.hash()
	var v uint256.Int
	v.SetBytes32(w[:])
	a, err := amountOf(&v)
	if err != nil {
		r.fail("an amount is above uint128")
	}
	return a
}

func (r *reader) address() Address {
	w := r.hash()
	if [12]byte(w[:12]) != [12]byte{} {
		r.fail("an address has more than 20 bytes")
	}
	return Address(w[12:])
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrEncoding, fmt.Sprintf(format, args...))
	}
}
