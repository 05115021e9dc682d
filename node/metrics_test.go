package node

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"souk/node/capacity"
	"souk/node/device"
)

// collected has only what devices tell.
type collected struct {
	deviceMetrics
	s *stock
}

func (collected) Describe(chan<- *prometheus.Desc)       {}
func (c collected) Collect(out chan<- prometheus.Metric) { c.collect(out, c.s) }

func TestMetricsTellHowDevicesAreUsed(t *testing.T) {
	c := card(t, 0)
	h := newHouse(t, Devices{}, &cards{devices: []device.Device{c}})
	_, err := h.free.Reserve("lease", capacity.Need{Devices: device.Need{Count: 1}}, time.Time{})
	require.NoError(t, err)
	h.source.use = device.Use{At: time.Now(), Utilisation: 37, Memory: 1 << 30, Celsius: 61, Watts: 240}
	h.look(t)
	label := `{device="` + c.ID + `",model="Card"}`
	want := ""
	for _, m := range []struct{ name, help, value string }{
		{"leases", "leases that have the device", "1"},
		{"memory_used_bytes", "memory of the device in use, by whomever", "1.073741824e+09"},
		{"power_watts", "power that the device draws", "240"},
		{"temperature_celsius", "temperature of the device", "61"},
		{"utilisation_ratio", "part of the last moment in which something ran on the device", "0.37"},
	} {
		name := "souk_device_" + m.name
		want += "# HELP " + name + " " + m.help + "\n# TYPE " + name + " gauge\n" + name + label + " " + m.value + "\n"
	}
	all := collected{newMetrics(nil).device, h.stock}
	require.NoError(t, testutil.CollectAndCompare(all, strings.NewReader(want),
		"souk_device_leases", "souk_device_memory_used_bytes", "souk_device_power_watts", "souk_device_temperature_celsius", "souk_device_utilisation_ratio"))
}
