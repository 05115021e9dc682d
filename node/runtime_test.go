package node_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node"
	"souk/protocol/market"
)

// oldDocker is a daemon that has runc and nothing else; it gives its address.
func oldDocker(t *testing.T) string {
	dir, err := os.MkdirTemp("", "souk-node-") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	at := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", at)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		answer := `{}`
		switch {
		case strings.HasSuffix(r.URL.Path, "/version"):
			answer = `{"Version": "20.10.24", "ApiVersion": "1.41", "Arch": "amd64"}`
		case strings.HasSuffix(r.URL.Path, "/info"):
			answer = `{"Runtimes": {"runc": {"path": "runc"}}}`
		}
		_, _ = w.Write([]byte(answer))
	}))
	require.NoError(t, server.Listener.Close())
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return "unix://" + at
}

// A runtime that was misspelt went unnoticed: the node made offers without containers.
func TestARuntimeThatDockerDoesNotHaveIsRefused(t *testing.T) {
	c := config(t)
	sandbox := filepath.Join(t.TempDir(), "souk-sandbox")
	require.NoError(t, os.WriteFile(sandbox, []byte("#!/bin/sh\nexit 1\n"), 0o700)) //nolint:gosec // programs are run
	c.Provide = &node.Provide{Price: market.NewAmount(1), SandboxPath: sandbox, Docker: node.Docker{Host: oldDocker(t), Runtime: "rnsc"}}
	_, err := node.New(t.Context(), c)
	require.EqualError(t, err, `docker.runtime is "rnsc", and Docker has no such runtime: set it to one that Docker has (runc), or leave it out`)
}
