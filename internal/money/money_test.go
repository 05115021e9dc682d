package money_test

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
	"souk/internal/money"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "0.10": 100_000, ".5": 500_000, "7.": 7_000_000, "0.000001": 1, " 12 USD ": 12_000_000,
		"1000000000": 1_000_000_000_000_000, "0.1000000000": 100_000,
	} {
		got, err := money.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]uint64{
		"0.40/h": 400_000, "0.40/hour": 400_000, "0.40": 400_000, "0.40 USD/h": 400_000, "0.40 / h": 400_000,
	} {
		got, err := money.ParsePrice(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestRefused(t *testing.T) {
	for text, reason := range map[string]string{
		"":                          "it is empty",
		"-1":                        "it is negative",
		"-0.1":                      "it is negative",
		"1e40":                      "with at most 6 decimals",
		"1" + zeros(40):             "too many digits",
		"1" + zeros(30):             "too large",
		"1000000000.000001":         "too large",
		"NaN":                       "such as 0.10",
		"Inf":                       "such as 0.10",
		"0.1234567":                 "it has 7 decimals",
		"0.0000000000000000001":     "it has 19 decimals",
		"0.00000000000000000000001": "it has 23 decimals",
		"1,5":                       "such as 0.10",
		"0x10":                      "such as 0.10",
		"+1":                        "such as 0.10",
		"free":                      "such as 0.10",
		"0.40/h":                    "a price per hour where a sum is meant",
	} {
		_, err := money.Parse(text)
		var refused *money.Error
		require.True(t, errors.As(err, &refused), "%s: %v", text, err)
		require.Contains(t, err.Error(), reason, text)
	}
	for _, text := range []string{"-1", "-1/h", "1e40", "NaN/h", "/h", "0.4/day", "0.1234567/h"} {
		_, err := money.ParsePrice(text)
		require.Error(t, err, text)
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

type amount struct{ n *big.Int }

func (a amount) Big() *big.Int { return a.n }

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0.00", 1: "0.000001", 112: "0.000112", 400_000: "0.40", 1_500_000: "1.50", 12_345_678: "12.345678", 100: "0.0001",
	} {
		require.Equal(t, want, money.Format(amount{big.NewInt(n)}))
	}
	most := new(big.Int).Lsh(big.NewInt(1), 128)
	require.Equal(t, "340282366920938463463374607431768.211456", money.Format(amount{most}))
	require.Equal(t, "0.40/h", money.FormatPrice(amount{big.NewInt(400_000)}))
}

func TestFormatParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, money.Most*1_000_000).Draw(t, "n")
		got, err := money.Parse(money.FormatMicros(n))
		require.NoError(t, err)
		require.Equal(t, n, got)
		got, err = money.ParsePrice(money.FormatMicros(n) + "/h")
		require.NoError(t, err)
		require.Equal(t, n, got)
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0.40/h", "-1", "1e40", "NaN", "0.1234567", "", "9999999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fuzztest.Bound(t)
		if n, err := money.Parse(text); err == nil {
			back, err := money.Parse(money.FormatMicros(n))
			require.NoError(t, err)
			require.Equal(t, n, back)
		}
	})
}
