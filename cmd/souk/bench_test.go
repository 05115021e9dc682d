package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/device"
	"souk/node/device/kernel"
)

// reference is a driver that computes on the CPU for every device but "none" and "broken".
type reference struct{ memory uint64 }

func (reference) Name() string                                     { return "reference" }
func (reference) Devices(context.Context) ([]device.Device, error) { return nil, nil }

func (r reference) Open(_ context.Context, d device.Device) (kernel.Kernel, error) {
	switch d.ID {
	case "none":
		return nil, &kernel.NotFoundError{Driver: "reference", ID: d.ID}
	case "broken":
		return nil, errors.New("its driver is broken")
	}
	return &kernel.CPU{ID: d.ID, Memory: r.memory}, nil
}

func TestEachDeviceIsMeasuredOrSaysWhyNot(t *testing.T) {
	taken := device.Obstacle{Code: device.Taken, Text: "process 7 offers it"}
	shown := device.Obstacle{Code: device.Display, Text: "it shows somebody's screen"}
	rows := benchDevices(t.Context(), []device.Finding{
		{Device: device.Device{ID: "good", Model: "A", VRAM: 4 << 20}, Obstacles: []device.Obstacle{shown}},
		{Device: device.Device{ID: "none"}},
		{Device: device.Device{ID: "broken"}},
		{Device: device.Device{ID: "lent"}, Obstacles: []device.Obstacle{taken}},
		{Device: device.Device{ID: "small"}},
	}, 32, 64<<20, reference{memory: 32 << 20})
	require.Equal(t, uint64(2<<20), rows[0].Bytes, "half of its memory")
	require.Equal(t, shown.Text, rows[0].Note)
	require.Nil(t, rows[1].Measurement)
	require.Contains(t, rows[1].Note, "OpenCL")
	require.Equal(t, "its driver is broken", rows[2].Note)
	require.Nil(t, rows[3].Measurement)
	require.Equal(t, taken.Text, rows[3].Note)
	require.Positive(t, rows[4].Rate)
	require.Contains(t, rows[4].Note, "can't give 64MiB")
	require.Contains(t, rows[4].cells()[2], "of order 32")

	d := newDesk(t)
	a := &app{out: &d.out, err: &d.err}
	require.NoError(t, a.showBench(t.Context(), rows))
	require.Contains(t, d.out.String(), "its driver is broken")
	var code *exit
	require.ErrorAs(t, a.showBench(t.Context(), rows[1:3]), &code, "nothing was measured")
	require.ErrorContains(t, a.showBench(t.Context(), nil), "has no GPU")
}

func TestBenchRefusesWhatItCanNotMeasure(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, exitUsage, d.souk("bench", "device", "--n", "0"))
	require.Equal(t, exitUsage, d.souk("bench", "device", "--memory", "much"))
	require.Contains(t, d.err.String(), "not a size")
	require.Equal(t, exitUsage, d.souk("bench", "moon"))
}
