package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/protocol/audit"
	"souk/protocol/receiptfile"
)

// exported is a folder as one node exports it, with the lease of the vectors.
func exported(t *testing.T, role string, car []byte) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, role+"-1.car"), car, 0o600))
	return dir
}

func told(t *testing.T, r audit.Report, asJSON bool) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, tell(&out, r, asJSON))
	return out.String()
}

func TestBooksAreReadAndWhatDoesNotAgreeIsTold(t *testing.T) {
	car, err := os.ReadFile("../../protocol/testdata/lease.car")
	require.NoError(t, err)
	client, provider := exported(t, "client", car), exported(t, "provider", car)
	clients, providers, err := read([]string{client, provider})
	require.NoError(t, err)
	require.Len(t, clients, 1)
	require.Len(t, providers, 1)
	require.Equal(t, filepath.Base(client), clients[0].Name)

	whole := audit.Run(clients, providers)
	require.Contains(t, told(t, whole, false), "the books agree\n")
	var r report
	require.NoError(t, json.Unmarshal([]byte(told(t, whole, true)), &r))
	require.Equal(t, 1, r.Leases)
	require.Positive(t, r.Receipts)
	require.Empty(t, r.Problems)

	clients[0].Bundles[0].Receipts = clients[0].Bundles[0].Receipts[:1] // the client never countersigned the rest
	less := told(t, audit.Run(clients, providers), false)
	require.Contains(t, less, "the books don't agree\n")
	require.Regexp(t, `(?m)^lease [0-9a-f]{10}, channel [0-9a-f]{10}: \S+ has 100 countersigned, \S+ has 250$`, less)
	require.Regexp(t, `(?m)^channel [0-9a-f]{10}: the leases of a channel come to 100`, less)
	require.NotContains(t, less, "0000000000", "what is wrong with a channel is no lease's")
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	_, _, err := read([]string{exported(t, "client", []byte("no CAR"))})
	require.ErrorIs(t, err, receiptfile.ErrFormat)
	_, _, err = read([]string{filepath.Join(t.TempDir(), "none")})
	require.ErrorIs(t, err, os.ErrNotExist)
}
