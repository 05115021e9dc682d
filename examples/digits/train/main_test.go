package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadUsageIsOneSentenceAndExitCode2(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		seed string
		says string
	}{
		"unknown flag":      {[]string{"--speed", "9"}, "", "speed"},
		"not a number":      {[]string{"--epochs", "many"}, "", "epochs"},
		"no epochs":         {[]string{"--epochs", "0"}, "", "from 1 to 1000"},
		"too many epochs":   {[]string{"--epochs", "1001"}, "", "from 1 to 1000"},
		"negative rate":     {[]string{"--rate", "-1"}, "", "above 0"},
		"rate too high":     {[]string{"--rate", "10.5"}, "", "at most 10\n"},
		"rate NaN":          {[]string{"--rate", "NaN"}, "", "above 0"},
		"rate infinite":     {[]string{"--rate", "Inf"}, "", "at most 10"},
		"odd hidden":        {[]string{"--hidden", "100"}, "", "multiple of 8"},
		"no hidden":         {[]string{"--hidden", "0"}, "", "multiple of 8"},
		"huge hidden":       {[]string{"--hidden", "1032"}, "", "to 1024"},
		"a stray word":      {[]string{"digits.bin"}, "", `"digits.bin" is no flag`},
		"no data":           {[]string{"--data", ""}, "", "--data is empty"},
		"no output":         {[]string{"--out", ""}, "", "--out is empty"},
		"seed not a number": {nil, "one", "SEED"},
		"negative seed":     {nil, "-1", "SEED"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, exitUsage, command(c.args, c.seed, &stdout, &stderr))
			require.Contains(t, stderr.String(), c.says)
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "%s", stderr.String())
			require.Empty(t, stdout.String())
		})
	}
}

func TestHelpNamesEachFlag(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, command([]string{"--help"}, "", &stdout, &stderr))
	for _, name := range []string{"-epochs", "-data", "-out", "-rate", "-hidden", "SEED"} {
		require.Contains(t, stdout.String(), name)
	}
	require.Empty(t, stderr.String())
}

func TestMissingDataIsOneSentenceAndExitCode1(t *testing.T) {
	var stdout, stderr bytes.Buffer
	missing := filepath.Join(t.TempDir(), "none.bin")
	require.Equal(t, exitFailed, command([]string{"--data", missing}, "", &stdout, &stderr))
	require.Contains(t, stderr.String(), missing)
	require.Equal(t, 1, strings.Count(stderr.String(), "\n"))
}

func TestOutputThatCannotBeWrittenIsOneSentence(t *testing.T) {
	data := filepath.Join(t.TempDir(), "digits.bin")
	require.NoError(t, os.WriteFile(data, syntheticFile(40, 20), 0o600))
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailed, command([]string{"--data", data, "--out", data}, "", &stdout, &stderr))
	require.Contains(t, stderr.String(), "can't make the output folder")
}

// runSynthetic runs the whole program and returns the files that it wrote.
func runSynthetic(t *testing.T, seed string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	data, out := filepath.Join(dir, "digits.bin"), filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(data, syntheticFile(200, 50), 0o600))
	var stdout, stderr bytes.Buffer
	code := command([]string{"--epochs", "2", "--hidden", "16", "--data", data, "--out", out}, seed, &stdout, &stderr)
	require.Zero(t, code, "%s", stderr.String())
	files := readFolder(t, out)
	files["log"] = strings.ReplaceAll(stdout.String(), out, "OUT")
	return files
}

func readFolder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(b)
	}
	return files
}

func TestSameSeedGivesSameBytesAndAnotherSeedOthers(t *testing.T) {
	one, again, other := runSynthetic(t, "1"), runSynthetic(t, "1"), runSynthetic(t, "2")
	require.Equal(t, one, again)
	require.Equal(t, one["log"], runSynthetic(t, "")["log"], "an unset SEED is 1")
	require.NotEqual(t, one["weights.bin"], other["weights.bin"])
	require.Len(t, one, 4)

	var m metrics
	require.NoError(t, json.Unmarshal([]byte(one["metrics.json"]), &m))
	require.Len(t, m.Epochs, 2)
	require.Equal(t, 50, m.TestCount)
	require.Equal(t, uint64(1), m.Seed)
	require.Len(t, one["weights.bin"], 8+3*4+4*(pixels*16+16+classes*16+classes)+4)
	require.True(t, strings.HasPrefix(one["weights.bin"], weightsMagic))
}
