package jobfile_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/node/jobfile"
)

// sparse makes a file of n bytes that takes no room.
func sparse(t *testing.T, path string, n int64) {
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(n))
	require.NoError(t, f.Close())
}

func TestLimits(t *testing.T) {
	good := "task: {wasm: m.wasm}\nlimits: {total: 1}\n"
	read := func(t *testing.T, text string) error {
		dir := workspace(t, map[string]string{"m.wasm": string(program)})
		_, err := jobfile.Read("job.yaml", dir, []byte(text))
		return err
	}
	limittest.Run(t, jobfile.LimitRows(), map[string]limittest.Probe{
		"job file": func(t *testing.T, n int64) error {
			dir := workspace(t, map[string]string{"m.wasm": string(program), "job.yaml": good + "#" + strings.Repeat("x", int(n)-len(good)-1)})
			_, err := jobfile.Load(filepath.Join(dir, "job.yaml"))
			return err
		},
		"retries of a job": func(t *testing.T, n int64) error { return read(t, good+"retries: "+strconv.Itoa(int(n))+"\n") },
		"WASM module": func(t *testing.T, n int64) error {
			dir := workspace(t, nil)
			sparse(t, filepath.Join(dir, "m.wasm"), n)
			_, err := jobfile.Read("job.yaml", dir, []byte(good))
			require.Error(t, err, "it is all zeros")
			return limittest.Refused(!strings.Contains(err.Error(), "the limit is"))
		},
		"files of a job's inputs together": func(t *testing.T, n int64) error {
			dir := workspace(t, map[string]string{"m.wasm": string(program), "one": "x"})
			sparse(t, filepath.Join(dir, "rest"), n-1)
			_, err := jobfile.Read("job.yaml", dir, []byte(good+"inputs: [{path: one, at: /in/one}, {path: rest, at: /in/rest}]\n"))
			return err
		},
	})
}
