package testnet_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"souk/node/blob"
	"souk/node/client"
	"souk/node/control"
	"souk/node/testnet"
)

// newDir is a data directory of its own, set up to talk to nobody.
func newDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "souk-dir")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	souk(t, dir, "init").ends(0)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yaml"),
		[]byte("network: alone\nloopback: true\nmdns: false\nlisten: [/ip4/127.0.0.1/tcp/0]\n"), 0o600))
	return dir
}

func TestADamagedLedgerIsNamed(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	souk(t, dir, "node", "up").ends(0)
	souk(t, dir, "node", "down").ends(0)
	flipped := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "ledger"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) < 100 {
			return err
		}
		for i := 10; i < len(data); i += 16 {
			data[i] ^= 0x55
		}
		flipped++
		return os.WriteFile(path, data, 0o600)
	}))
	require.NotZero(t, flipped)
	for _, args := range [][]string{{"jobs", "--json"}, {"provide", "--json", "--price", "1/h"}} {
		run := souk(t, dir, args...).ends(client.ExitSouk)
		text := run.kind(client.Finished).Text
		require.Contains(t, text, "ledger")
		require.NotContains(t, run.said(), "panic")
		require.NotContains(t, run.said(), "goroutine ")
	}
}

func TestKeysThatWontDo(t *testing.T) {
	t.Parallel()
	edwards, _, err := crypto.GenerateEd25519Key(rand.Reader)
	require.NoError(t, err)
	raw, err := crypto.MarshalPrivateKey(edwards)
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		key  string
		mode os.FileMode
		says string
	}{
		{"another kind", base64.StdEncoding.EncodeToString(raw) + "\n", 0o600, "the key is of the wrong kind"},
		{"no key", "no key\n", 0o600, "the key file can't be read"},
		{"open to others", "no key\n", 0o644, "the key file is open to other users"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			key := filepath.Join(dir, "key")
			require.NoError(t, os.WriteFile(key, []byte(c.key), 0o600))
			require.NoError(t, os.Chmod(key, c.mode))
			done := souk(t, dir, "provide", "--json", "--price", "1/h").ends(client.ExitSouk).kind(client.Finished)
			require.Equal(t, "bad_key", done.Code)
			require.Contains(t, done.Text, c.says)
			require.Contains(t, souk(t, dir, "jobs", "--json").ends(client.ExitSouk).kind(client.Finished).Text, c.says)
		})
	}
}

// A bootstrap that is no node of souk, or nothing at all, is named and tried on.
func TestBootstrapsThatArentThere(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	for name, port := range map[string]int{"unreachable": 1, "not souk": web.Listener.Addr().(*net.TCPAddr).Port} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			addr := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", port, id)
			provider := start(t, dir, "provide", "--price", "1/h", "--bootstrap", addr)
			var said string
			eventually(t, "it says so", func() bool {
				said = souk(t, dir, "node", "status", "--json").out.String()
				return strings.Contains(said, id.String()) && strings.Contains(said, `"bootstrap":[`)
			})
			require.Contains(t, said, "can't be reached")
			require.True(t, provider.running(), "it tries on")
		})
	}
}

// Where the disk is full, a client says so before anything is paid, and a
// provider's client goes on with another.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 1, Clients: 1})
	t.Run("of the client", func(t *testing.T) {
		t.Parallel()
		w := &world{t, w.s}
		dir := filepath.Join(w.s.Dir, "small")
		souk(t, dir, "init").ends(0)
		w.join(dir)
		small := shrink(t, dir)
		t.Cleanup(func() { souk(t, dir, "node", "down") })
		if !small {
			obstruct(t, dir, blob.Local)
			require.Contains(t, souk(t, dir, "jobs").ends(client.ExitSouk).err.String(), "not a directory")
			return
		}
		eventually(t, "it finds the provider", func() bool {
			return strings.Contains(souk(t, dir, "offers", "--allow-simulated", "--json").out.String(), w.node("provider-1").Peer)
		})
		run := souk(t, dir, worker("0s")...).ends(client.ExitSouk)
		require.Contains(t, run.kind(client.Finished).Text, "no space left on device")
		require.Empty(t, decode[control.JobInfo](t, souk(t, dir, "jobs", "--json").ends(0).out.String()))
	})
	t.Run("of the provider", func(t *testing.T) {
		t.Parallel()
		w := &world{t, w.s}
		small := shrink(t, filepath.Join(w.s.Dir, "full"))
		full := w.provide("full", "--price", "0.01/h", "--simulate-gpu", "RTX 4090")
		if !small {
			obstruct(t, full.Dir, w.node("client-1").Peer)
		}
		run := souk(t, w.dir("client-1"), worker("0s", "--gpu", "RTX4090", "--", "-exit", "4")...).ends(4)
		job := w.job("client-1", run.kind(client.Finished).Job)
		require.Len(t, job.Executions, 2)
		require.Equal(t, full.Peer, job.Executions[0].Peer)
		require.Equal(t, "provider_failed", job.Executions[0].Outcome)
		t.Log(job.Executions[0].Text)
		w.agree([]string{"client-1"}, []string{"full", "provider-1"})
	})
}

// shrink makes the disk small on which a data directory keeps its blobs, and
// tells whether it could.
func shrink(t *testing.T, dir string) bool {
	t.Helper()
	blobs := filepath.Join(dir, "blobs")
	require.NoError(t, os.MkdirAll(blobs, 0o700))
	if err := unix.Mount("tmpfs", blobs, "tmpfs", 0, "size=1m"); err != nil {
		t.Logf("no small disk can be mounted here (%v), so this tries a space that can't be written, and not a full one", err)
		return false
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(blobs, unix.MNT_DETACH)) })
	return true
}

// obstruct puts a file where the blobs of a space belong.
func obstruct(t *testing.T, dir, space string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "blobs", space), nil, 0o600))
}
