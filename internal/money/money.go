// Package money reads and writes amounts of the unit of account, US dollars
// with 6 decimals, as people write them: "0.40/h", "0.10", "12 USD".
//
// It promises exactness: what Parse accepts is a whole number of millionths,
// nothing is ever rounded, and Format(n) parses back to n. A refusal says in
// one sentence what would be right. It never computes with money.
package money

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/govalues/decimal"

	"souk/internal/pattern"
)

const (
	// Unit is the name of the unit of account.
	Unit = "USD"
	// Decimals is how many decimals it has: an amount counts millionths.
	Decimals = 6
	// Most is the largest amount that may be written, in whole dollars.
	Most = 1_000_000_000

	millionths = 1_000_000
	maxText    = 40
)

// Error is a text that is no amount.
type Error struct {
	Text   string // what was read, cut to a printable length
	Reason string // what is wrong and what would be right
}

func (e *Error) Error() string { return fmt.Sprintf("%q is no amount: %s", e.Text, e.Reason) }

var (
	plain    = pattern.Lazy(`^(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)$`)
	negative = pattern.Lazy(`^-[.0-9]`)
	perHour  = pattern.Lazy(`\s*/\s*(?:h|hour)$`)
)

// ParsePrice reads a price per hour in millionths of a dollar: "0.40/h",
// "0.40/hour" or "0.40", each also with USD. Its errors are *Error.
func ParsePrice(text string) (uint64, error) {
	text = strings.TrimSpace(text)
	return parse(text, perHour().ReplaceAllString(text, ""), "0.40/h")
}

// Parse reads an amount in millionths of a dollar: "0.10" or "0.10 USD".
// Its errors are *Error.
func Parse(text string) (uint64, error) {
	text = strings.TrimSpace(text)
	if perHour().MatchString(text) {
		return 0, &Error{Text: cut(text), Reason: "it is a price per hour where a sum is meant; write it without the hour, such as 0.10"}
	}
	return parse(text, text, "0.10")
}

func parse(text, number, example string) (uint64, error) {
	fail := func(reason string) (uint64, error) { return 0, &Error{Text: cut(text), Reason: reason} }
	number = strings.TrimSpace(strings.TrimSuffix(number, Unit))
	switch {
	case number == "":
		return fail("it is empty; write dollars such as " + example)
	case negative().MatchString(number):
		return fail("it is negative; write 0 or more, such as " + example)
	case len(number) > maxText:
		return fail(fmt.Sprintf("it has too many digits; the most is %d %s", Most, Unit))
	case !plain().MatchString(number):
		return fail(fmt.Sprintf("write dollars from 0 to %d with at most %d decimals, such as %s", Most, Decimals, example))
	}
	d, err := decimal.Parse(strings.TrimSuffix(number, "."))
	if err != nil || !d.Less(decimal.MustNew(Most, 0)) && !d.Equal(decimal.MustNew(Most, 0)) {
		return fail(fmt.Sprintf("it is too large; the most is %d %s", Most, Unit))
	}
	if decimals := strings.TrimRight(fraction(number), "0"); len(decimals) > Decimals {
		return fail(fmt.Sprintf("it has %d decimals; %s has %d", len(decimals), Unit, Decimals))
	}
	whole, part, ok := d.Int64(Decimals)
	if !ok {
		return fail(fmt.Sprintf("it is too large; the most is %d %s", Most, Unit))
	}
	return uint64(whole)*millionths + uint64(part), nil //nolint:gosec // neither is negative
}

func fraction(number string) string {
	_, digits, _ := strings.Cut(number, ".")
	return digits
}

func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:maxText] + "…"
}

// Amount is money in millionths of a dollar; market.Amount is one.
type Amount interface{ Big() *big.Int }

// Format writes an amount exactly, with two decimals at least: 0.40, 0.000112.
func Format(a Amount) string {
	whole, part := new(big.Int).QuoRem(a.Big(), big.NewInt(millionths), new(big.Int))
	digits := fmt.Sprintf("%06d", part.Int64())
	digits = digits[:2] + strings.TrimRight(digits[2:], "0")
	return whole.String() + "." + digits
}

// FormatPrice writes a price per hour: 0.40/h.
func FormatPrice(a Amount) string { return Format(a) + "/h" }

// FormatMicros writes a number of millionths as Format does.
func FormatMicros(n uint64) string { return Format(micros(n)) }

type micros uint64

func (m micros) Big() *big.Int { return new(big.Int).SetUint64(uint64(m)) }
