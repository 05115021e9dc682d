package testnet_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/testnet"
)

// A testnet was once put beside somebody's thesis, and took it along.
func TestATestnetTakesNoFolderThatIsInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	thesis := filepath.Join(dir, "thesis.txt")
	require.NoError(t, os.WriteFile(thesis, []byte("precious"), 0o600))
	up := souk(t, dir, "testnet", "up", "--dir", dir).ends(125)
	require.Contains(t, up.err.String(), dir+" holds other files; name one that is empty or doesn't exist")
	souk(t, dir, "testnet", "up", "--in-process", "--dir", dir).ends(125)
	souk(t, dir, "testnet", "down", "--dir", dir).ends(125)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing was added, nothing taken away")
	require.FileExists(t, thesis)
}

func TestDownTakesOnlyWhatTheTestnetMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := testnet.NewLocal(t.Context(), testnet.LocalOptions{Dir: dir, Sandbox: built.sandbox, Providers: 1, Clients: 1, Tick: time.Second})
	require.NoError(t, err)
	thesis := filepath.Join(dir, "thesis.txt")
	require.NoError(t, os.WriteFile(thesis, []byte("precious"), 0o600))
	require.NoError(t, l.Close())
	down := souk(t, dir, "testnet", "down", "--dir", dir).ends(0)
	require.Contains(t, down.out.String(), "the testnet is gone; "+dir+" stays, for what else is in it")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "%v", files)
	require.FileExists(t, thesis)
}

func TestDownTakesNoFolderElsewhere(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	remember := func(s *testnet.State) {
		state, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "testnet.json"), state, 0o600))
	}
	remember(&testnet.State{Dir: dir, Nodes: []testnet.Node{{Name: "client-1", Dir: elsewhere}}})
	require.ErrorContains(t, testnet.Down(t.Context(), dir), elsewhere+" is no folder of the testnet")
	require.DirExists(t, elsewhere)
	remember(&testnet.State{Dir: elsewhere, Nodes: []testnet.Node{{Name: "client-1", Dir: filepath.Join(elsewhere, "client-1")}}})
	require.ErrorIs(t, testnet.Down(t.Context(), dir), testnet.ErrNone, "a copy of a testnet is none")
}

// The nodes of such a testnet once counted as gone.
func TestNodesInOneProcessAreShownAndNotKilledAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "net")
	up := start(t, t.TempDir(), "testnet", "up", "--in-process", "--providers", "1", "--dir", dir)
	eventually(t, "it is up", func() bool { return !up.running() || up.out.String() != "" })
	pid := strconv.Itoa(up.cmd.Process.Pid)
	status := souk(t, dir, "testnet", "status", "--dir", dir, "--json").ends(0)
	nodes := decode[testnet.Node](t, status.out.String())
	require.Len(t, nodes, 3)
	for _, n := range nodes {
		require.True(t, n.Up, n.Name)
		require.Equal(t, pid, strconv.Itoa(n.PID))
	}
	for _, command := range []string{"kill", "restart"} {
		refused := souk(t, dir, "testnet", command, "--dir", dir, "provider-1").ends(125)
		require.Regexp(t, `these nodes are one process \(`+pid+`\); none can be \w+ alone`, refused.err.String())
	}
	souk(t, dir, "testnet", "down", "--dir", dir).ends(0)
	require.NoDirExists(t, dir)
	up.ends(0)
}
