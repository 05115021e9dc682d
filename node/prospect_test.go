package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node"
	"souk/node/control"
	"souk/node/device"
)

// would gives the doctor's rows for a machine on which no provider runs.
func would(t *testing.T, p node.Provide) map[string]control.Check {
	c := config(t)
	sandbox := filepath.Join(t.TempDir(), "souk-sandbox")
	require.NoError(t, os.WriteFile(sandbox, []byte("#!/bin/sh\necho '{}'\n"), 0o700)) //nolint:gosec // it is run
	p.SandboxPath, p.Docker.Host = sandbox, "unix://"+filepath.Join(t.TempDir(), "none.sock")
	c.Provide = &p
	rows := map[string]control.Check{}
	for _, row := range node.Prospect(t.Context(), c) {
		rows[row.Name] = row
	}
	left, err := os.ReadDir(c.Dir)
	require.NoError(t, err)
	require.Empty(t, left, "it leaves nothing in the data directory")
	return rows
}

func TestBeforeAProviderRunsTheDoctorSaysWhatItWouldOffer(t *testing.T) {
	rows := would(t, node.Provide{SimulateGPU: []string{"RTX 4090:2"}})
	require.True(t, rows["executor docker"].OK, "nobody asked for images")
	require.Contains(t, rows["executor docker"].Text, "none.sock")
	require.Contains(t, rows["executor wasm"].Text, "WASM jobs are shut in by")
	require.True(t, rows["devices"].OK, rows["devices"].Text)
	require.Contains(t, rows["devices"].Text, "`souk provide` would offer 2x RTX 4090 24GiB (simulated)")
	require.Contains(t, rows["devices"].Fix, "`souk devices`")

	rows = would(t, node.Provide{Executors: []string{"wasm", "docker"}})
	require.False(t, rows["executor docker"].OK, "it was asked for by name")
	rows = would(t, node.Provide{Executors: []string{"wasm"}})
	require.NotContains(t, rows, "executor docker")
	require.Contains(t, rows["devices"].Text, "GPUs weren't looked for")
	rows = would(t, node.Provide{Memory: 1 << 60})
	require.Contains(t, rows["machine"].Text, "provider.memory")
}

func TestTheDoctorFindsAWordOfReserveThatMeansNothing(t *testing.T) {
	mistyped := node.Devices{Policy: device.Policy{Reserve: []string{"rtx-4099"}}}
	row := would(t, node.Provide{SimulateGPU: []string{"RTX 4090"}, Devices: mistyped})["devices"]
	require.False(t, row.OK)
	require.True(t, strings.HasPrefix(row.Text, "`souk provide` would offer CPU only"), row.Text)
	require.Contains(t, row.Text, "devices.reserve names rtx-4099, and no device here is called so")
	require.Contains(t, row.Text, "RTX 4090, simulated-rtx-4090-0", "what there is")
	require.Contains(t, row.Fix, "correct devices.reserve")
}
