package offer_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/internal/fuzztest"
	"souk/protocol/offer"
	"souk/protocol/pb"
)

// FuzzMeasurement reads any bytes as a measurement that travels alone.
func FuzzMeasurement(f *testing.F) {
	key, id := newKey(f)
	good := measure(f, id, key, now)
	seed, err := proto.Marshal(good.Proto())
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		var p pb.Measurement
		if proto.Unmarshal(b, &p) != nil {
			return
		}
		m, err := offer.ReadMeasurement(&p)
		if err != nil {
			require.ErrorIs(t, err, offer.ErrMeasurement)
			return
		}
		if m.Verify("test", now) == nil && m.By == id {
			require.Equal(t, good.Mops, m.Mops, "a measurement that nobody signed")
		}
	})
}
