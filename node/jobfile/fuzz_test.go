package jobfile

import (
	"bufio"
	"bytes"
	"testing"

	"souk/internal/fuzztest"
)

// FuzzModule looks for a _start in any bytes behind a module's header.
func FuzzModule(f *testing.F) {
	f.Add([]byte("\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x0a\x01\x06_start\x00\x00\x0a\x04\x01\x02\x00\x0b"))
	f.Add([]byte("\x07\x05\xff\xff\xff\xff\x0f"))
	f.Add([]byte("\x07\xff\xff\xff\xff\x0f\x01\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, body []byte) {
		fuzztest.Bound(t)
		if findStart(bufio.NewReader(bytes.NewReader(body))) == nil && !bytes.Contains(body, []byte("_start")) {
			t.Fatal("a _start that isn't there")
		}
	})
}
