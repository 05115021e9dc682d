package testnet_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/testnet"
)

// A provider that crashes while an input comes goes on from where it was.
func TestAnInputGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 1, Clients: 1, Tick: 5 * time.Second, LostAfter: time.Minute})
	// A crash loses two packs of 16 MiB that wait for the disk, and the one that
	// is being filled; what is on its way to the provider is up to 16 MiB.
	data := make([]byte, 160<<20)
	_, _ = rand.Read(data) // never fails
	path := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	run := start(t, w.dir("client-1"), worker("0s", "--input", path+":/in/data", "--disk", "512MiB", "--memory", "256MiB", "--", "-sum", "/in/data")...)
	run.event("half of the input is sent", func(e client.Event) bool {
		return e.Kind == client.Transfer && e.What == "input" && e.Done > e.Total/2
	})
	w.kill("provider-1")
	before := w.written("client-1")
	w.restart("provider-1")
	run.ends(0)
	require.Contains(t, run.log(), fmt.Sprintf("%d bytes, checksum", len(data)))
	again := w.written("client-1") - before
	t.Logf("%d bytes of %d were sent after the crash", again, len(data))
	require.Less(t, again, len(data)-16<<20, "it goes on from where it was")
	w.agree([]string{"client-1"}, []string{"provider-1"})
}

// written is how many bytes a node has written so far, to files and peers.
func (w *world) written(name string) int {
	w.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", w.node(name).PID))
	require.NoError(w.t, err)
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "wchar: "); ok {
			written, err := strconv.Atoi(strings.TrimSpace(n))
			require.NoError(w.t, err)
			return written
		}
	}
	require.FailNow(w.t, "the kernel doesn't count what a process writes")
	return 0
}
