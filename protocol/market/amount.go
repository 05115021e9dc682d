package market

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/holiman/uint256"
)

// Amount is money in the token's smallest unit, below 2^128. The zero value
// is 0 and amounts compare with ==.
type Amount struct{ v uint256.Int }

// ErrAmount is an amount that isn't a whole number from 0 to 2^128-1.
var ErrAmount = errors.New("amount is not a whole number from 0 to 2^128-1")

var maxAmount = func() uint256.Int {
	var m uint256.Int
	m.Lsh(uint256.NewInt(1), 128)
	m.SubUint64(&m, 1)
	return m
}()

// NewAmount is n smallest units.
func NewAmount(n uint64) Amount { return Amount{*uint256.NewInt(n)} }

// ParseAmount reads a decimal string without sign, spaces or leading zeros.
func ParseAmount(s string) (Amount, error) {
	if s == "" || len(s) > 39 || (len(s) > 1 && s[0] == '0') {
		return Amount{}, fmt.Errorf("%w: %.50q", ErrAmount, s)
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return Amount{}, fmt.Errorf("%w: %.50q", ErrAmount, s)
		}
	}
	v, err := uint256.FromDecimal(s)
	if err != nil {
		return Amount{}, fmt.Errorf("%w: %.50q", ErrAmount, s)
	}
	return amountOf(v)
}

func amountOf(v *uint256.Int) (Amount, error) {
	if v.Gt(&maxAmount) {
		return Amount{}, fmt.Errorf("%w: %s", ErrAmount, v.Dec())
	}
	return Amount{*v}, nil
}

// Add is a+b. It saturates at 2^128-1: documents whose product could get
// there are refused before any sum is made of them.
func (a Amount) Add(b Amount) Amount {
	var sum uint256.Int
	sum.Add(&a.v, &b.v)
	if sum.Gt(&maxAmount) {
		return Amount{maxAmount}
	}
	return Amount{sum}
}

// Sub is a-b, and 0 where b is larger.
func (a Amount) Sub(b Amount) Amount {
	if a.v.Lt(&b.v) {
		return Amount{}
	}
	var d uint256.Int
	d.Sub(&a.v, &b.v)
	return Amount{d}
}

// Times is a*n, saturating like Add.
func (a Amount) Times(n uint64) Amount {
	var p uint256.Int
	p.Mul(&a.v, uint256.NewInt(n)) // 128 + 64 bits
	if p.Gt(&maxAmount) {
		return Amount{maxAmount}
	}
	return Amount{p}
}

// Cmp is -1, 0 or 1 as a is below, at or above b.
func (a Amount) Cmp(b Amount) int { return a.v.Cmp(&b.v) }

// Less tells whether a < b.
func (a Amount) Less(b Amount) bool { return a.v.Lt(&b.v) }

// IsZero tells whether a is 0.
func (a Amount) IsZero() bool { return a.v.IsZero() }

// String is the decimal number of smallest units.
func (a Amount) String() string { return a.v.Dec() }

// Bytes is a big-endian, without zeros in front.
func (a Amount) Bytes() []byte { return a.v.Bytes() }

// AmountFrom reads what Bytes gives; an error wraps ErrAmount.
func AmountFrom(b []byte) (Amount, error) {
	if len(b) > 16 {
		return Amount{}, fmt.Errorf("%w: %d bytes, at most 16 wanted", ErrAmount, len(b))
	}
	var v uint256.Int
	return Amount{*v.SetBytes(b)}, nil
}

// Big is a as a new big.Int, for formatting.
func (a Amount) Big() *big.Int { return a.v.ToBig() }

// MarshalJSON writes a decimal string.
func (a Amount) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

// UnmarshalJSON reads a decimal string and nothing else.
func (a *Amount) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%w: write it as a decimal string", ErrAmount)
	}
	v, err := ParseAmount(s)
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// MinAmount is the smaller of two amounts.
func MinAmount(a, b Amount) Amount {
	if b.Less(a) {
		return b
	}
	return a
}

// MaxAmount is the larger of two amounts.
func MaxAmount(a, b Amount) Amount {
	if a.Less(b) {
		return b
	}
	return a
}
