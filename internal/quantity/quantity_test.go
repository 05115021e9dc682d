package quantity

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
)

func TestParseReadsWhatKubernetesReads(t *testing.T) {
	for text, want := range map[string]int64{
		"0":                   0,
		"4096":                4096,
		"+5":                  5,
		"4096B":               4096,
		"1Ki":                 1024,
		"256Mi":               256 << 20,
		"256MiB":              256 << 20,
		"256 MiB":             256 << 20,
		" 24gib ":             24 << 30,
		"2Ti":                 2 << 40,
		"1Pi":                 1 << 50,
		"7Ei":                 7 << 60,
		"1k":                  1000,
		"1KB":                 1000,
		"500M":                500_000_000,
		"500MB":               500_000_000,
		"2G":                  2_000_000_000,
		"2GB":                 2_000_000_000,
		"3T":                  3_000_000_000_000,
		"1E":                  1_000_000_000_000_000_000,
		"1.5Gi":               3 << 29,
		".5Ki":                512,
		"1.Ki":                1024,
		"129e6":               129_000_000,
		"1E3":                 1000,
		"1500e-2":             15,
		"9223372036854775807": math.MaxInt64,
	} {
		got, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseRefusesWithOneSentence(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "empty",
		"   ":                   "empty",
		"-1":                    "negative",
		"-1Gi":                  "negative",
		"0.5":                   "fraction of a byte",
		"0.3Ki":                 "fraction of a byte",
		"1e-1":                  "fraction of a byte",
		"9223372036854775808":   "too large",
		"8Ei":                   "too large",
		"1e40":                  "too large",
		"256m":                  "thousandth",
		"1e3Mi":                 "exponent and a unit",
		"12XB":                  "unit is unknown",
		"12iB":                  "unit is unknown",
		"12kmGi":                "unit is unknown",
		"lots":                  "write a number",
		"1,5Gi":                 "write a number",
		"0x10":                  "write a number",
		"1e999999":              "write a number",
		"١Gi":                   "write a number",
		strings.Repeat("9", 99): "too long",
	} {
		_, err := Parse(text)
		var typed *Error
		require.ErrorAs(t, err, &typed, text)
		require.Contains(t, typed.Reason, want, text)
		require.Less(t, len(err.Error()), 250, text)
	}
}

func TestHumanNeverOverstates(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0", 1023: "1023", 1024: "1KiB", 1536: "1.5KiB", 24 << 30: "24GiB",
		24<<30 - 1: "23.9GiB", 25_125_978_112: "23.4GiB", 25_125_000_000: "23.3GiB", math.MaxInt64: "7.9EiB",
	} {
		require.Equal(t, want, Human(bytes))
	}
}

func TestFormatParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.IntRange(0, 62).Draw(t, "shift")
		want := rapid.Int64Range(0, math.MaxInt64>>shift).Draw(t, "number") << shift
		got, err := Parse(Format(want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"256Mi", "1.5G", "-1", "1e40", "1E", "0.1", ".", "1e-99", "9223372036854775807B", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fuzztest.Bound(t)
		n, err := Parse(text)
		if err != nil {
			require.ErrorAs(t, err, new(*Error))
			require.Zero(t, n)
			return
		}
		require.GreaterOrEqual(t, n, int64(0))
		again, err := Parse(Format(n))
		require.NoError(t, err)
		require.Equal(t, n, again)
	})
}
