package ledger

import (
	"hash/crc32"
	"strings"
	"testing"

	"souk/internal/limit/limittest"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"record in the books": func(_ *testing.T, n int64) error {
			const quotes, around = 2, 1 + crc32.Size // of a text in JSON, and of a value
			_, err := seal(key{leaseKey}, strings.Repeat("x", int(n)-quotes-around))
			return err
		},
		"name of a record in the books": func(_ *testing.T, n int64) error {
			_, err := nameKey(metaKey, strings.Repeat("x", int(n)))
			return err
		},
	})
}
