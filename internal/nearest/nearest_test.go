package nearest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/nearest"
)

func TestTo(t *testing.T) {
	keys := []string{"limits", "needs", "memory", "cpu", "provider.price"}
	for word, want := range map[string]string{
		"limit": "limits", "memroy": "memory", "MEMORY": "memory", "provider.prise": "provider.price",
		"zzzzzzzz": "", "": "", strings.Repeat("memory", 20): "",
	} {
		require.Equal(t, want, nearest.To(word, keys), word)
	}
}

func TestDistance(t *testing.T) {
	require.Equal(t, 3, nearest.Distance("kitten", "sitting"))
	word := rapid.StringMatching(`[a-d]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		require.Equal(t, nearest.Distance(a, b), nearest.Distance(b, a))
		require.Equal(t, a == b, nearest.Distance(a, b) == 0)
		require.LessOrEqual(t, nearest.Distance(a, c), nearest.Distance(a, b)+nearest.Distance(b, c))
	})
}
