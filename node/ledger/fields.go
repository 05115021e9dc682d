package ledger

import (
	"encoding/binary"
	"errors"

	"souk/protocol/market"
)

// A record lists its fields once, for writing and for reading: in the order in
// which they are stored, which never changes. New ones go to the end, so that a
// record of before them reads as one in which they are zero.
type record interface{ fields(f *fields) }

// fields goes through a record's fields and writes each to out or reads it off
// in. A number is a uvarint; a hash, an address or a flag is its bytes; an
// amount and a text are their length and bytes; bytes are their length and one,
// or 0 for nil; a list is its length and items.
type fields struct {
	reading bool
	in, out []byte
	err     error // of reading: the first
}

var errShort = errors.New("it ends in the middle of a field")

// take reads n bytes, and none once the record is over.
func (f *fields) take(n uint64) []byte {
	if n > uint64(len(f.in)) {
		f.err, f.in = errShort, nil
		return nil
	}
	b := f.in[:n:n]
	f.in = f.in[n:]
	return b
}

// over tells whether a record that is read has no more fields.
func (f *fields) over() bool { return f.err != nil || len(f.in) == 0 }

func (f *fields) uvarint() uint64 {
	if f.over() {
		return 0
	}
	n, size := binary.Uvarint(f.in)
	if size <= 0 {
		f.err, f.in = errShort, nil
		return 0
	}
	f.in = f.in[size:]
	return n
}

func number[T ~uint8 | ~uint32 | ~uint64](f *fields, n *T) {
	if !f.reading {
		f.out = binary.AppendUvarint(f.out, uint64(*n))
		return
	}
	v := f.uvarint()
	if *n = T(v); uint64(*n) != v {
		f.err = errors.New("a number in it is too large for its field")
	}
}

// count is a number that may be below zero.
func (f *fields) count(n *int) {
	v := uint64(int64(*n)<<1) ^ uint64(int64(*n)>>63) //nolint:gosec // zigzag
	number(f, &v)
	if f.reading {
		*n = int(int64(v>>1) ^ -int64(v&1)) //nolint:gosec // zigzag
	}
}

func (f *fields) flag(b *bool) {
	var n uint8
	if *b {
		n = 1
	}
	number(f, &n)
	if n > 1 {
		f.err = errors.New("a flag in it is neither 0 nor 1")
	}
	*b = n == 1
}

// raw is bytes of a length that everybody knows.
func (f *fields) raw(b []byte) {
	switch {
	case !f.reading:
		f.out = append(f.out, b...)
	case !f.over():
		copy(b, f.take(uint64(len(b))))
	}
}

func (f *fields) hash(h *market.Hash) { f.raw(h[:]) }

// bytes are not copied: they lie in what was read.
func (f *fields) bytes(b *[]byte) {
	if f.reading {
		if n := f.uvarint(); n > 0 {
			*b = f.take(n - 1)
		}
		return
	}
	if *b == nil {
		f.out = append(f.out, 0)
		return
	}
	f.out = append(binary.AppendUvarint(f.out, uint64(len(*b))+1), *b...)
}

func text[T ~string](f *fields, s *T) {
	if f.reading {
		*s = T(f.take(f.uvarint()))
		return
	}
	f.out = append(binary.AppendUvarint(f.out, uint64(len(*s))), *s...)
}

func (f *fields) amount(a *market.Amount) {
	if !f.reading {
		b := a.Bytes()
		f.out = append(binary.AppendUvarint(f.out, uint64(len(b))), b...)
		return
	}
	var err error
	if *a, err = market.AmountFrom(f.take(f.uvarint())); err != nil {
		f.err = err
	}
}

func (f *fields) chain(c *market.Chain) {
	number(f, &c.ID)
	f.raw(c.Contract[:])
}

func (f *fields) mark(m *Mark) {
	number(f, &m.Seq)
	f.hash(&m.Hash)
	number(f, &m.Units)
	f.amount(&m.Charged)
}

// list is its length and its items, each of a byte at least.
func list[T any](f *fields, items *[]T, item func(*T)) {
	n := uint64(len(*items))
	number(f, &n)
	if !f.reading {
		for i := range *items {
			item(&(*items)[i])
		}
		return
	}
	for ; n > 0 && !f.over(); n-- {
		var one T
		item(&one)
		*items = append(*items, one)
	}
	if n > 0 && f.err == nil {
		f.err = errShort
	}
}
