package ledger_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
)

// holdDir names the directory that the helper process below holds.
const holdDir = "SOUK_TEST_HOLD_DIR"

// TestHoldALedger is no test of its own: another one runs it as a process.
func TestHoldALedger(t *testing.T) {
	dir := os.Getenv(holdDir)
	if dir == "" {
		return
	}
	l, err := ledger.Open(dir, ledger.Options{})
	require.NoError(t, err)
	_, _ = os.Stdout.WriteString("held\n")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until the parent is done or gone
	require.NoError(t, l.Close())
}

func TestOneProcessHoldsADirectory(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHoldALedger$") //nolint:gosec // this very binary
	child.Env = append(os.Environ(), holdDir+"="+dir)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	in, err := child.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held\n", line)

	_, err = ledger.Open(dir, ledger.Options{})
	require.ErrorIs(t, err, ledger.ErrInUse)
	require.ErrorContains(t, err, "another souk process holds "+dir)
	require.True(t, held(t, dir))

	require.NoError(t, child.Process.Kill()) // a killed holder must not leave the directory locked
	_ = child.Wait()
	_ = in.Close()
	require.False(t, held(t, dir))
	l, err := ledger.Open(dir, ledger.Options{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func held(t *testing.T, dir string) bool {
	yes, err := ledger.Held(dir)
	require.NoError(t, err)
	return yes
}

func TestNobodyHoldsALedgerThatIsNotThere(t *testing.T) {
	require.False(t, held(t, filepath.Join(t.TempDir(), "none")))
}

func TestOneLedgerHoldsADirectoryInAProcess(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	l, err := ledger.Open(dir, ledger.Options{})
	require.NoError(t, err)
	for _, name := range []string{dir, link} {
		_, err = ledger.Open(name, ledger.Options{})
		require.ErrorIs(t, err, ledger.ErrInUse)
	}
	require.NoError(t, l.Close())
}

func TestADirectoryThatCannotBeIsNotCalledInUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := ledger.Open(filepath.Join(file, "ledger"), ledger.Options{})
	require.Error(t, err)
	require.NotErrorIs(t, err, ledger.ErrInUse)
	require.NotErrorIs(t, err, ledger.ErrCorrupt)
}

// Each format that a store goes through costs it synced files.
func TestANewLedgerHasTheNewestFormatAtOnce(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(dir, ledger.Options{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.FileExists(t, filepath.Join(dir, "marker.format-version.000001."+pebble.FormatNewest.String()))
}
