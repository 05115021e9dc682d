package testnet_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/testnet"
)

// A node of another network that joins by the same bootstrap is not seen, and sees nobody.
func TestTwoNetworksDontMix(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 1, Clients: 1})
	dir := newDir(t)
	start(t, dir, "provide", "--price", "0.01/h", "--bootstrap", w.node("bootstrap").Addr)
	eventually(t, "it has joined", func() bool { return souk(t, dir, "node", "status").wait() == 0 })
	for range 3 {
		offers := decode[client.Candidate](t, souk(t, w.dir("client-1"), "offers", "--allow-simulated", "--json").ends(0).out.String())
		require.Len(t, offers, 1)
		require.Equal(t, w.node("provider-1").Peer, offers[0].Peer)
	}
	require.Empty(t, souk(t, dir, "offers", "--allow-simulated", "--json").ends(0).out.String())
}

func TestUpThatFailsHalfWayLeavesNothing(t *testing.T) {
	t.Parallel()
	no, err := exec.LookPath("false")
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		o    testnet.Options
	}{
		{"the bootstrap ends", testnet.Options{Souk: no, Providers: 1, Clients: 1}},
		{"a later node ends", testnet.Options{Souk: built.souk, Hostile: no, Behave: []string{"vanish"}, Providers: 1, Clients: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "souk-half")
			require.NoError(t, err)
			c.o.Dir = filepath.Join(dir, "net")
			_, err = testnet.Up(t.Context(), c.o)
			require.Error(t, err)
			require.NoDirExists(t, c.o.Dir)
			require.Empty(t, processes(dir))
			require.NoError(t, os.Remove(dir), "nothing else is there")
		})
	}
	t.Run("the caller gives up", func(t *testing.T) {
		t.Parallel()
		dir, err := os.MkdirTemp("", "souk-half")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ups := 0
		_, err = testnet.Up(ctx, testnet.Options{
			Dir: filepath.Join(dir, "net"), Souk: built.souk, Providers: 2, Clients: 1, Tick: time.Second,
			Progress: func(string) {
				if ups++; ups == 2 {
					cancel()
				}
			},
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, processes(dir))
		require.NoError(t, os.Remove(dir), "nothing is left there")
	})
}
