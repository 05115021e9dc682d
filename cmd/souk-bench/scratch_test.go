package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatAKilledBenchLeftIsRemoved(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	mine, remove, err := scratch()
	require.NoError(t, err)
	ended := exec.CommandContext(t.Context(), "true")
	require.NoError(t, ended.Run())
	left := filepath.Join(tmp, scratchName+strconv.Itoa(ended.Process.Pid)+"-123")
	others := filepath.Join(tmp, scratchName+"notes")
	for _, dir := range []string{left, others} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "inner"), 0o700))
	}
	var said bytes.Buffer
	sweep(t.Context(), &said)
	require.Equal(t, "removed "+left+", which a bench left that was killed\n", said.String())
	require.NoDirExists(t, left)
	require.DirExists(t, mine)
	require.DirExists(t, others)
	require.NoError(t, remove())
}
