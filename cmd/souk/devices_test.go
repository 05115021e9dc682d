package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/config"
	"souk/node/device"
)

func TestDevicesAreShownWithoutANode(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk("devices", "--simulate-gpu", "RTX 4090", "--simulate-gpu", "H100"))
	require.Regexp(t, `(?m)^#\s+MODEL\s+SLUG\s+VRAM\s+DRIVER\s+USE\s+ID\s+OFFERED$`, d.out.String())
	require.Regexp(t, `(?m)^[0-9]+\s+RTX 4090\s+rtx-4090\s+24GiB\s+–\s+–\s+simulated-rtx-4090-0\s+yes$`, d.out.String())
	require.Nil(t, d.node.submitted)
}

func TestDevicesInJSONSayWhy(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, os.WriteFile(config.File(d.dir), []byte("devices:\n  reserve: [rtx-4090, typo-9]\n"), 0o600))
	require.Zero(t, d.souk("devices", "--json", "--simulate-gpu", "RTX 4090"))
	lines := strings.Split(strings.TrimSpace(d.out.String()), "\n")
	var row deviceRow
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &row))
	require.Equal(t, "simulated-rtx-4090-0", row.ID)
	require.False(t, row.Offered)
	require.Equal(t, device.Reserved, row.Obstacles[0].Code)
	require.Contains(t, d.err.String(), "devices.reserve names typo-9, and no device here is called so")
}

func TestADeviceOfOnesOwnNodeIsOffered(t *testing.T) {
	f := device.Finding{
		Device: device.Device{ID: "GPU-1", Model: "NVIDIA A100-SXM4-40GB", Slug: "a100-40gb", VRAM: 40 << 30, Driver: "nvidia 550.54.15"},
		Use:    device.Use{Utilisation: 97, Memory: 30 << 30, Celsius: 71, Watts: 390}, Holder: 4242,
		Obstacles: []device.Obstacle{{Code: device.Taken, Text: "process 4242 (souk) offers it"}},
	}
	require.Equal(t, "yes", offeredText(rowOf(f, 4242)))
	require.Equal(t, "no: process 4242 (souk) offers it", offeredText(rowOf(f, 1)))
	require.Equal(t, "no: process 4242 (souk) offers it", offeredText(rowOf(f, 0)))
	require.Equal(t, "97% 30GiB 71°C 390W", useText(f.Use))
}

func TestWhereThereIsNoGPUItSaysWhatWasLookedFor(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk("devices"))
	if strings.TrimSpace(d.out.String()) == "" { // this machine has none
		for _, want := range []string{"this is what was looked for:", "NVIDIA: ", "AMD and Intel: ", "OpenCL"} {
			require.Contains(t, d.err.String(), want)
		}
	}
}
