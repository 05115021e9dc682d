package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/image"
)

func TestWhatIsPackedIsAnImageArchive(t *testing.T) {
	dir := t.TempDir()
	program, archive := filepath.Join(dir, "count"), filepath.Join(dir, "count.tar")
	require.NoError(t, os.WriteFile(program, []byte("a program"), 0o600))
	require.NoError(t, pack(program, archive))
	platform, err := image.Archive(archive)
	require.NoError(t, err)
	require.Equal(t, "linux/"+runtime.GOARCH, platform)
	require.Error(t, pack(filepath.Join(dir, "gone"), archive))
}
