// Package quantity reads and writes sizes in bytes the way Kubernetes does:
// "256Mi", "24GiB", "1.5G", "129e6", "4096".
//
// It promises that Format(n) parses back to n, that every accepted text means
// a whole number of bytes that fits an int64, and that a refusal says in one
// sentence what would be right. It never rounds: 0.3 bytes is an error.
package quantity

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"souk/internal/pattern"
)

// maxText is longer than any size worth writing; it bounds the arithmetic.
const maxText = 40

// Error is a text that is no size.
type Error struct {
	Text   string // what was read, cut to a printable length
	Reason string // what is wrong and what would be right
}

func (e *Error) Error() string { return fmt.Sprintf("%q is not a size: %s", e.Text, e.Reason) }

var (
	// number, exponent, unit. An exponent has digits, so 1E is an exabyte and 1E3 is 1000.
	shape    = pattern.Lazy(`^\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,2}))? ?([A-Za-z]*)$`)
	negative = pattern.Lazy(`^-[.0-9]`)
)

const example = "write a number and a unit, such as 256Mi, 24GiB or 500M"

// Parse returns the bytes that text means, from 0 to 2⁶³−1. Ki, Mi, Gi, Ti, Pi
// and Ei are powers of 1024, k, M, G, T, P and E powers of 1000, each with or
// without a closing B and in any case, apart from m alone, which Kubernetes
// reads as a thousandth. Its errors are *Error.
func Parse(text string) (int64, error) {
	text = strings.TrimSpace(text)
	fail := func(reason string) (int64, error) {
		return 0, &Error{Text: cut(text), Reason: reason}
	}
	switch {
	case text == "":
		return fail("it is empty; " + example)
	case len(text) > maxText:
		return fail("it is too long; " + example)
	case negative().MatchString(text):
		return fail("it is negative; a size is 0 or more")
	}
	parts := shape().FindStringSubmatch(text)
	if parts == nil {
		return fail(example)
	}
	number, exponent, unit := parts[1], parts[2], parts[3]
	factor, reason := multiplier(unit)
	if reason == "" && exponent != "" && unit != "" {
		reason = "it has both an exponent and a unit; write one of them"
	}
	if reason != "" {
		return fail(reason)
	}
	bytes, reason := scale(number, exponent, factor)
	if reason != "" {
		return fail(reason)
	}
	return bytes, nil
}

// multiplier returns what unit stands for, or the reason why it stands for nothing.
func multiplier(unit string) (factor *big.Int, reason string) {
	if unit == "m" {
		return nil, "m means a thousandth; write M for 1000² or Mi for 1024² bytes"
	}
	base, letter := int64(1000), strings.TrimSuffix(strings.ToLower(unit), "b")
	if strings.HasSuffix(letter, "i") {
		base, letter = 1024, strings.TrimSuffix(letter, "i")
	}
	power := strings.Index("kmgtpe", letter) + 1
	switch {
	case letter == "" && base == 1000:
		power = 0
	case len(letter) != 1 || power == 0:
		return nil, "its unit is unknown; use Ki, Mi, Gi or Ti (powers of 1024), or k, M, G or T (powers of 1000)"
	}
	return new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(power)), nil), ""
}

// scale multiplies exactly; number and exponent are bounded by maxText.
func scale(number, exponent string, factor *big.Int) (bytes int64, reason string) {
	if exponent != "" {
		number += "e" + exponent
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, example
	}
	value.Mul(value, new(big.Rat).SetInt(factor))
	switch {
	case !value.IsInt():
		return 0, "it is a fraction of a byte; use a smaller unit or a whole number"
	case !value.Num().IsInt64():
		return 0, fmt.Sprintf("it is too large; the most is %d bytes", int64(math.MaxInt64))
	}
	return value.Num().Int64(), ""
}

func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:maxText] + "…"
}

var binaryUnits = []string{"", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Format writes bytes exactly, in the largest binary unit that divides them:
// 24GiB, 1536MiB, 1000. It is meant for sizes that someone chose.
func Format(bytes int64) string {
	unit := 0
	for bytes != 0 && bytes%1024 == 0 {
		bytes /= 1024
		unit++
	}
	return strconv.FormatInt(bytes, 10) + binaryUnits[unit]
}

// Human writes bytes with at most one decimal, rounded down so that free space
// is never overstated: 23.4GiB. It is meant for sizes that were measured.
func Human(bytes int64) string {
	unit, size := 0, bytes
	for size >= 1024 {
		size /= 1024
		unit++
	}
	if unit == 0 {
		return strconv.FormatInt(bytes, 10)
	}
	whole := uint64(1) << (10 * unit)
	tenths := uint64(bytes) % whole * 10 / whole // below 10·2⁶⁰, which fits
	if tenths == 0 {
		return strconv.FormatInt(size, 10) + binaryUnits[unit]
	}
	return fmt.Sprintf("%d.%d%s", size, tenths, binaryUnits[unit])
}
