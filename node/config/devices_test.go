package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/config"
)

func TestWhichDevicesAreLeasedOut(t *testing.T) {
	got := load(t, config.Sources{DataDir: t.TempDir()})
	require.Equal(t, config.Devices{BusyMemory: 1 << 30, Shared: 1}, got.Devices)
	d := dir(t, "devices:\n  reserve: [0, GPU-1b2c, \"0000:41:00.0\", RTX 4090]\n  display: true\n  busy_memory: 2GiB\n  shared: 4\n")
	got = load(t, config.Sources{DataDir: d})
	require.Equal(t, config.Devices{Reserve: []string{"0", "GPU-1b2c", "0000:41:00.0", "RTX 4090"}, Display: true, BusyMemory: 2 << 30, Shared: 4}, got.Devices)
	got = load(t, config.Sources{DataDir: d, Environ: []string{"SOUK_DEVICES_RESERVE=1,2"}})
	require.Equal(t, []string{"1", "2"}, got.Devices.Reserve)
	for file, want := range map[string]string{
		"devices:\n  reserve: [\"--\"]\n": "names no GPU",
		"devices:\n  shared: 0\n":         "1 at least",
		"devices:\n  shared: 65\n":        "from 0 to 64",
		"devices:\n  display: yes\n":      "neither true nor false",
		"devices:\n  busy_memory: much\n": "is not a size",
		"devices:\n  reserved: [0]\n":     "did you mean devices.reserve",
	} {
		_, err := config.Load(config.Sources{DataDir: dir(t, file)})
		require.ErrorContains(t, err, want, file)
	}
}
