package image_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/node/image"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, image.LimitRows(), map[string]limittest.Probe{
		"archive of an image": func(t *testing.T, n int64) error {
			path := filepath.Join(t.TempDir(), "image.tar")
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			require.NoError(t, os.Truncate(path, n)) // a hole
			_, err := image.Archive(path)
			require.Error(t, err, "there is no image in it")
			return limittest.Refused(!strings.Contains(err.Error(), "the limit is"))
		},
	})
}
