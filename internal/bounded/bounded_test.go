package bounded_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/bounded"
)

func TestACallThatHangsIsGivenUpOnAndNotMadeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hang, made := bounded.New(), make(chan struct{}), 0
		call := func() (int, error) {
			made++
			<-hang
			return 42, nil
		}
		var late []int
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		_, err := bounded.Do(ctx, c, time.Second, call, func(v int) { late = append(late, v) })
		require.ErrorIs(t, err, bounded.ErrNoAnswer)
		require.Equal(t, time.Minute+time.Second, time.Since(began))
		for range 100 {
			_, err = bounded.Do(t.Context(), c, 0, call)
			require.ErrorIs(t, err, bounded.ErrNoAnswer)
		}
		synctest.Wait()
		require.Equal(t, 1, made, "one is outstanding")
		require.True(t, c.Outstanding())

		close(hang) // the driver comes back
		synctest.Wait()
		require.False(t, c.Outstanding())
		require.Equal(t, []int{42}, late, "what came late isn't lost")
		for range 3 {
			v, err := bounded.Do(t.Context(), c, 0, call)
			require.NoError(t, err)
			require.Equal(t, 42, v)
		}
	})
}
