package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHelloPrintsAndWritesWhatItWasGiven(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	var stdout bytes.Buffer
	require.NoError(t, hello([]string{"one", "two words"}, []string{"WHO=you", "OUT=" + out}, &stdout))
	want := "hello from the provider\nargument 1: \"one\"\nargument 2: \"two words\"\n" +
		"environment: OUT=" + out + "\nenvironment: WHO=you\n"
	written, err := os.ReadFile(filepath.Join(out, "hello.txt"))
	require.NoError(t, err)
	require.Equal(t, want, string(written))
	require.Equal(t, want+"wrote "+filepath.Join(out, "hello.txt")+"\n", stdout.String())
}

func TestHelloSaysWhyItCannotWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	err := hello(nil, []string{"OUT=" + file}, &bytes.Buffer{})
	require.ErrorContains(t, err, "can't make the output folder")
}

func TestFolderIsOutUnlessTheEnvironmentNamesOne(t *testing.T) {
	require.Equal(t, "/out", folder(nil))
	require.Equal(t, "/out", folder([]string{"OUT="}))
	require.Equal(t, "/elsewhere", folder([]string{"A=b", "OUT=/elsewhere"}))
}
