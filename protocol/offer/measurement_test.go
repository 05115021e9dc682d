package offer_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/protocol/market"
	"souk/protocol/offer"
)

func measure(t testing.TB, id peer.ID, by crypto.PrivKey, at time.Time) offer.Measurement {
	m, err := offer.Measurement{Provider: id, Slug: "rtx-4090", Count: 2, Mops: 1e6, MBps: 9e5, Touched: 40 << 30, At: at}.Sign("test", by)
	require.NoError(t, err)
	return m
}

func measured(t testing.TB, id peer.ID, all ...offer.Measurement) offer.Offer {
	o := sample(id)
	o.Devices[0].Evidence, o.Devices[0].Measured = market.Measured, all
	return o
}

func TestMeasurementsTravelInOffersAndAlone(t *testing.T) {
	key, id := newKey(t)
	other, _ := newKey(t)
	own, theirs := measure(t, id, key, now), measure(t, id, other, now.Add(-time.Hour))
	require.True(t, own.Own())
	require.False(t, theirs.Own())
	got, err := offer.Open(seal(t, measured(t, id, own, theirs), key), "test", now)
	require.NoError(t, err)
	require.Equal(t, []offer.Measurement{own, theirs}, got.Devices[0].Measured)

	alone, err := offer.ReadMeasurement(theirs.Proto())
	require.NoError(t, err)
	require.Equal(t, theirs, alone)
	require.NoError(t, alone.Verify("test", now))
}

func TestNobodyCanSayWhatAnotherMeasured(t *testing.T) {
	key, id := newKey(t)
	other, by := newKey(t)
	for name, forge := range map[string]func(*offer.Measurement){
		"a higher rate":    func(m *offer.Measurement) { m.Mops++ },
		"more bandwidth":   func(m *offer.Measurement) { m.MBps++ },
		"more memory":      func(m *offer.Measurement) { m.Touched++ },
		"more devices":     func(m *offer.Measurement) { m.Count++ },
		"a later time":     func(m *offer.Measurement) { m.At = m.At.Add(time.Millisecond) },
		"another model":    func(m *offer.Measurement) { m.Slug = "h100-80gb" },
		"another provider": func(m *offer.Measurement) { m.Provider = by },
		"another measurer": func(m *offer.Measurement) { m.By = id },
		"no signature":     func(m *offer.Measurement) { m.Signature = nil },
		"a long one":       func(m *offer.Measurement) { m.Signature = append(m.Signature, 0) },
		"over": func(m *offer.Measurement) {
			*m = measure(t, id, other, now.Add(-offer.MeasuredFor-offer.Tolerance-time.Second))
		},
		"of the future":        func(m *offer.Measurement) { *m = measure(t, id, other, now.Add(offer.Tolerance+time.Second)) },
		"of no rate":           func(m *offer.Measurement) { m.Mops = 0; *m, _ = m.Sign("test", other) },
		"of no device":         func(m *offer.Measurement) { m.Count = 0; *m, _ = m.Sign("test", other) },
		"of another network":   func(m *offer.Measurement) { *m, _ = m.Sign("souk", other) },
		"of more than offered": func(m *offer.Measurement) { m.Count = 3; *m, _ = m.Sign("test", other) },
	} {
		t.Run(name, func(t *testing.T) {
			m := measure(t, id, other, now)
			forge(&m)
			if name != "of more than offered" { // which is wrong only where fewer are offered
				require.ErrorIs(t, m.Verify("test", now), offer.ErrMeasurement)
			}
			o := measured(t, id, m)
			if name == "another model" || name == "another provider" {
				return // an offer says these itself: they can't be told apart there
			}
			_, err := offer.Open(seal(t, o, key), "test", now)
			require.ErrorIs(t, err, offer.ErrMeasurement)
		})
	}
}

func TestADeviceIsMeasuredOnlyWithAMeasurement(t *testing.T) {
	key, id := newKey(t)
	open := func(change func(*offer.Device)) error {
		o := measured(t, id, measure(t, id, key, now))
		change(&o.Devices[0])
		_, err := offer.Open(seal(t, o, key), "test", now)
		return err
	}
	require.NoError(t, open(func(*offer.Device) {}))
	require.ErrorIs(t, open(func(d *offer.Device) { d.Measured = nil }), offer.ErrMeasurement)
	require.ErrorIs(t, open(func(d *offer.Device) { d.Evidence = market.Simulated }), offer.ErrMeasurement, "nothing runs on it")
	require.ErrorIs(t, open(func(d *offer.Device) { d.Slug = "h100-80gb" }), offer.ErrMeasurement, "another model's measurement")
	require.NoError(t, open(func(d *offer.Device) { d.Evidence, d.Measured = market.Claimed, nil }))
	require.ErrorIs(t, open(func(d *offer.Device) { d.Measured = append(d.Measured, d.Measured[0], d.Measured[0]) }), offer.ErrMeasurement)
}

func TestAnOfferWithoutRoomLeavesTheOldestMeasurementsOut(t *testing.T) {
	key, id := newKey(t)
	other, _ := newKey(t)
	o := sample(id)
	full := o.Devices[0]
	full.Evidence = market.Measured
	full.Measured = []offer.Measurement{measure(t, id, key, now), measure(t, id, other, now.Add(-time.Hour))}
	o.Devices = []offer.Device{full, full, full}
	got, err := offer.Open(seal(t, o, key), "test", now)
	require.NoError(t, err)
	left := 0
	for _, d := range got.Devices {
		left += len(d.Measured)
		require.Equal(t, now.UnixMilli(), d.Measured[0].At.UnixMilli(), "the newest stay")
	}
	require.Equal(t, offer.MaxAllMeasured, left)
	require.Len(t, full.Measured, 2, "the caller's own list is as it was")

	o.Devices = o.Devices[:1]
	plain := sample(id).Devices[0]
	plain.Model = strings.Repeat("x", 60)
	var lefts []int
	for {
		sealed, err := offer.Seal(o, key)
		if err != nil {
			break
		}
		got, err := offer.Open(sealed, "test", now)
		require.NoError(t, err)
		d := got.Devices[0]
		require.Equal(t, len(d.Measured) > 0, d.Evidence == market.Measured, "else it is as its driver says")
		lefts = append(lefts, len(d.Measured))
		o.Devices = append(o.Devices, plain)
	}
	require.Equal(t, []int{2, 1, 0}, slices.Compact(lefts))
}
