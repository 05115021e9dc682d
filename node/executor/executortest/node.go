package executortest

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// KillNode runs TestNodeProcess of this test binary in a process of its own, with
// env, and kills it once it has printed the line "started".
func KillNode(t *testing.T, env string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^TestNodeProcess$", "-test.v")
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "started" {
	}
	require.Equal(t, "started", lines.Text())
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
}
