package ledger

import (
	"strings"
	"testing"

	"souk/internal/limit/limittest"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"record in the books": func(_ *testing.T, n int64) error {
			const length = 4 // of so many bytes, as a uvarint
			v := make(value, int(n)-length-overhead)
			_, err := seal(key{metaKey}, &v)
			return err
		},
		"name of a record in the books": func(_ *testing.T, n int64) error {
			_, err := nameKey(metaKey, strings.Repeat("x", int(n)))
			return err
		},
	})
}
