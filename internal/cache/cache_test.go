package cache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/cache"
)

func TestWhatWasNotUsedForLongestMakesRoom(t *testing.T) {
	c := cache.New[string, int](2)
	c.Add("a", 1)
	c.Add("b", 2)
	a, ok := c.Get("a")
	require.True(t, ok)
	require.Equal(t, 1, a)
	c.Add("c", 3)
	require.Equal(t, []string{"a", "c"}, c.Keys())
}

func TestAMapWithoutRoomIsAMistakeOfThisProgram(t *testing.T) {
	for _, size := range []int{0, -1} {
		require.Panics(t, func() { cache.New[string, int](size) })
	}
}
