// Package limittest tries a package's limits: each exactly, and one beyond.
package limittest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/limit"
)

// Probe tries n of what a limit counts. Its error is that n was refused, cut or
// dropped as the limit says; whatever else goes wrong it tells t.
type Probe func(t *testing.T, n int64) error

// ErrBeyond is a probe's error where what it tried has none of its own.
var ErrBeyond = errors.New("beyond the limit")

// Refused is ErrBeyond unless taken.
func Refused(taken bool) error {
	if taken {
		return nil
	}
	return ErrBeyond
}

// Run tries every limit: its figure must be taken, and the next one not.
// A limit without a probe fails, and so does a probe without a limit.
func Run(t *testing.T, limits []limit.Limit, probes map[string]Probe) {
	t.Helper()
	for name := range probes {
		require.True(t, slices.ContainsFunc(limits, func(l limit.Limit) bool { return l.Name == name }), "no limit is named %q", name)
	}
	for _, l := range limits {
		t.Run(l.Name, func(t *testing.T) {
			probe, ok := probes[l.Name]
			require.True(t, ok, "nothing goes one over the limit %q", l.Name)
			beyond := l.Value + 1
			if l.Least {
				beyond = l.Value - 1
			}
			require.NoError(t, probe(t, l.Value), "%d is within the limit", l.Value)
			require.Error(t, probe(t, beyond), "%d is beyond the limit", beyond)
		})
	}
}

// Wait is how long a probe takes that tries a time of n ms: half a millisecond
// less, so that what ends at the same instant can't race.
func Wait(n int64) time.Duration { return time.Duration(n)*time.Millisecond - time.Millisecond/2 }
