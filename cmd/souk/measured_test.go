package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/protocol/market"
)

func TestAProviderIsFoundByTheEndOfItsID(t *testing.T) {
	offers := []client.Candidate{{Peer: "16Uiu2HAmOneNgbobiA4n"}, {Peer: "16Uiu2HAmTwoXgbobiA4n"}}
	id, err := endingIn(offers, "NgbobiA4n")
	require.NoError(t, err)
	require.Equal(t, offers[0].Peer, id)
	for _, end := range []string{"bobiA4n", "nobody", ""} {
		_, err = endingIn(offers, end)
		require.ErrorContains(t, err, "`souk offers --json` shows whole IDs", end)
	}
}

func TestWhatIsAskedWronglyIsSaidInASentence(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, exitUsage, d.souk("bench", "challenge"))
	require.Contains(t, d.err.String(), "name one provider or one running job")
	require.Equal(t, exitUsage, d.souk("offers", "--executor", "gpu"))
	require.Contains(t, d.err.String(), "use wasm or docker")
}

func TestMeasuredOffersShowWhatWhenAndWhoseWord(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	one := client.Measured{Devices: "2x RTX 4090", Mops: 1_234_567, MBps: 1_900_400, Touched: 38 << 30, At: now.Add(-3 * time.Hour), By: "16Uiu2HAmMeasurerMeasurer", Own: true}
	other := one
	other.Own, other.At = false, now.Add(-5*time.Minute)
	offers := onlyMeasured([]client.Candidate{
		{Peer: "16Uiu2HAmClaims", PricePerHour: market.NewAmount(100_000)},
		{Peer: "16Uiu2HAmMeasured", PricePerHour: market.NewAmount(400_000), Measured: []client.Measured{one, other}, WhyNot: "it has no RTX 5090"},
	})
	require.Len(t, offers, 1, "who only claims is left out")
	rows := measuredRows(offers, now)
	require.Len(t, rows, 2)
	for _, row := range rows {
		require.Len(t, row, len(measuredHead()))
	}
	require.Equal(t, []string{"2x RTX 4090", "1234.6 G/s", "1900.4 GB/s", "38GiB", "3h0m0s ago", "itself"}, rows[0][2:8])
	require.Equal(t, []string{"5m0s ago", short(one.By), "not: it has no RTX 5090"}, rows[1][6:])
}
