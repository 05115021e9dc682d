package pattern_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/pattern"
)

func TestAnExpressionIsCompiledOnceAndLate(t *testing.T) {
	digits := pattern.Lazy(`^[0-9]+$`)
	require.True(t, digits().MatchString("12"))
	require.False(t, digits().MatchString("12a"))
	require.Same(t, digits(), digits())
	var none func()
	require.NotPanics(t, func() { late := pattern.Lazy(`(`); none = func() { late() } })
	require.Panics(t, none)
}
