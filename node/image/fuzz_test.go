package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/node/image"
)

// FuzzArchive looks at any bytes as an archive that a user wants to send.
func FuzzArchive(f *testing.F) {
	path := filepath.Join(f.TempDir(), "image.tar")
	tag, err := name.NewTag("app:1")
	require.NoError(f, err)
	require.NoError(f, tarball.WriteToFile(path, tag, empty.Image))
	whole, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(whole)
	f.Add(whole[:600])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzztest.Bound(t)
		path := filepath.Join(t.TempDir(), "image.tar")
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		if _, err := image.Archive(path); err != nil {
			var says *image.Error
			require.True(t, errors.As(err, &says), "%v", err)
		}
	})
}
