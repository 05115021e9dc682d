package identity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"key file": func(t *testing.T, n int64) error {
			path := filepath.Join(t.TempDir(), "key")
			_, err := Create(path, "")
			require.NoError(t, err)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append(text, strings.Repeat("\n", int(n)-len(text))...), 0o600))
			_, err = Load(path, nil)
			return err
		},
	})
}
