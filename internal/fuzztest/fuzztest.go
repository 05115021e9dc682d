// Package fuzztest holds fuzz targets to what every decoder promises.
package fuzztest

import (
	"runtime"
	"testing"
)

// MostBytes is the most that decoding one input may allocate in all.
const MostBytes = 64 << 20

// Bound fails t if more than MostBytes are allocated from now to its end.
func Bound(t testing.TB) {
	t.Helper()
	before := allocated()
	t.Cleanup(func() {
		if n := allocated() - before; n > MostBytes {
			t.Errorf("this input made the process allocate %d bytes, %d are allowed", n, MostBytes)
		}
	})
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
