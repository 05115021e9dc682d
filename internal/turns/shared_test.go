package turns_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/turns"
)

var errSilent = errors.New("it doesn't answer")

// Who waits for one that fails fails with it, and doesn't try the same after it.
func TestManyWaitNoLongerThanOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared turns.Shared[string]
		tried, errs, began := 0, make(chan error, 10), time.Now()
		for range cap(errs) {
			go func() {
				errs <- shared.Do(t.Context(), "a", func() error {
					tried++
					<-time.After(time.Minute)
					return errSilent
				})
			}()
		}
		for range cap(errs) {
			require.ErrorIs(t, <-errs, errSilent)
		}
		require.Equal(t, 1, tried)
		require.Equal(t, time.Minute, time.Since(began))
		require.NoError(t, shared.Do(t.Context(), "a", func() error { return nil }), "later ones try anew")
	})
}

// One whose own caller gave up decides nothing for those who waited.
func TestOneThatWasCutShortIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared turns.Shared[string]
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() {
			first <- shared.Do(ctx, "a", func() error { <-ctx.Done(); return ctx.Err() })
		}()
		synctest.Wait()
		go func() { second <- shared.Do(t.Context(), "a", func() error { return nil }) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-first, context.Canceled)
		require.NoError(t, <-second)
	})
}
