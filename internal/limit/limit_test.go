package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/limit"
	"souk/internal/limit/limittest"
)

func TestFiguresAreForPeople(t *testing.T) {
	for want, l := range map[string]limit.Limit{
		"64 KiB":            limit.Size("", 64<<10, ""),
		"262143 bytes":      limit.Size("", 1<<18-1, ""),
		"512 bytes":         limit.Size("", 512, ""),
		"16 GiB":            limit.Size("", 16<<30, ""),
		"15 s":              limit.Time("", 15*time.Second, ""),
		"90 min":            limit.Time("", 90*time.Minute, ""),
		"24 h":              limit.Time("", 24*time.Hour, ""),
		"30 days and 5 min": limit.Time("", 30*24*time.Hour+5*time.Minute, ""),
		"30 days":           limit.Time("", 30*24*time.Hour, ""),
		"1,500 ms":          limit.Time("", 1500*time.Millisecond, ""),
		"5 USD":             limit.Money("", 5_000_000, ""),
		"1,000.05 USD":      limit.Money("", 1_000_050_000, ""),
		"8":                 limit.Of("", 8, ""),
		"1,024":             limit.Of("", 1024, ""),
		"1,000,000":         limit.Of("", 1_000_000, ""),
		"at least 1 s":      limit.Time("", time.Second, "").AtLeast(),
	} {
		require.Equal(t, want, l.Text())
	}
}

func TestAProbeIsAskedAtTheLimitAndOneBeyond(t *testing.T) {
	asked := map[string][]int64{}
	probe := func(name string, ok func(int64) bool) limittest.Probe {
		return func(_ *testing.T, n int64) error {
			asked[name] = append(asked[name], n)
			if ok(n) {
				return nil
			}
			return limittest.ErrBeyond
		}
	}
	limittest.Run(t, []limit.Limit{limit.Of("most", 5, "refused"), limit.Of("floor", 5, "refused").AtLeast()}, map[string]limittest.Probe{
		"most": probe("most", func(n int64) bool { return n <= 5 }), "floor": probe("floor", func(n int64) bool { return n >= 5 }),
	})
	require.Equal(t, map[string][]int64{"most": {5, 6}, "floor": {5, 4}}, asked)
}
