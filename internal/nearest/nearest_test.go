package nearest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/nearest"
)

func TestTo(t *testing.T) {
	keys := []string{"limits", "needs", "memory", "cpu", "listen", "job", "jobs", "provider.price", "provider.cap_total", "client.cap_total"}
	for word, want := range map[string]string{
		"limit": "limits", "memroy": "memory", "MEMORY": "memory", "provider.prise": "provider.price", "jbos": "jobs", "jos": "job",
		"price": "provider.price", "PRICE": "provider.price",
		"frob": "", "stop": "", "zzzzzzzz": "", "": "", strings.Repeat("memory", 20): "", "ice": "", "cap_total": "",
	} {
		require.Equal(t, want, nearest.To(word, keys), word)
	}
}

func TestDistance(t *testing.T) {
	require.Equal(t, 3, nearest.Distance("kitten", "sitting"))
	require.Equal(t, 1, nearest.Distance("jbos", "jobs"))
	word := rapid.StringMatching(`[a-d]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := nearest.Distance(a, b)
		require.Equal(t, d, nearest.Distance(b, a))
		require.Equal(t, a == b, d == 0)
		require.LessOrEqual(t, d, max(len(a), len(b)))
		require.GreaterOrEqual(t, d, max(len(a)-len(b), len(b)-len(a)))
	})
}
