package quantity

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASizeWithoutItsUnitIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"8":    "8 is 8 bytes: write 8GiB",
		" 24 ": "24 is 24 bytes: write 24GiB",
		"4096": "4096 is 4096 bytes: write 4096MiB",
		"1k":   "1k is 1000 bytes: write 1MiB or more",
		"lots": "is not a size",
	} {
		_, err := Meant(text)
		require.ErrorContains(t, err, want)
	}
	for text, want := range map[string]int64{"0": 0, "1Mi": 1 << 20, "1048576": 1 << 20, "8GiB": 8 << 30} {
		got, err := Meant(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
}
