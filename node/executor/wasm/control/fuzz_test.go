package control

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
)

// FuzzFile reads any bytes as the files of a workspace, and as what node and
// sandbox say to each other.
func FuzzFile(f *testing.F) {
	for _, v := range []any{Spec{ID: "a1", Owner: "peer", Args: []string{"x"}}, Result{}, Command{}, Status{}, Report{}, Verdict{}} {
		seed, err := json.Marshal(v)
		require.NoError(f, err)
		f.Add(seed)
	}
	f.Add([]byte(`{"ID":"a1"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		fuzztest.Bound(t)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, SpecFile), text, 0o600))
		for _, into := range []any{&Spec{}, &Result{}, &Command{}, &Status{}, &Report{}, &Verdict{}} {
			if Read(dir, SpecFile, into) == nil {
				_, err := json.Marshal(into)
				require.NoError(t, err)
			}
		}
	})
}
