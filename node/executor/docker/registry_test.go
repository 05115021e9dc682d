package docker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCredentials(t *testing.T) {
	none, err := credentials("")
	require.NoError(t, err)
	_, ok := none.of("example.org")
	require.False(t, ok)

	path := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6c2VjcmV0"},"example.org:5000":{"identitytoken":"tok"}}}`), 0o600))
	a, err := credentials(path)
	require.NoError(t, err)
	hubs, ok := a.of("index.docker.io")
	require.True(t, ok)
	require.Equal(t, "me", hubs.Username)
	require.Equal(t, "secret", hubs.Password)
	_, ok = a.of("example.org")
	require.False(t, ok, "another port is another registry")
	private, ok := a.of("example.org:5000")
	require.True(t, ok)
	require.Equal(t, "tok", private.IdentityToken)

	require.NoError(t, os.WriteFile(path, []byte(`{"auths":[`), 0o600))
	_, err = credentials(path)
	require.Error(t, err)
	_, err = credentials(path + "x")
	require.Error(t, err)
}

func TestLoadedID(t *testing.T) {
	require.Equal(t, "sha256:1", must(t, `{"stream":"Loaded image ID: sha256:1\n"}`))
	require.Equal(t, "other", must(t, `{"status":"Loading layer"}{}`))
	_, err := loadedID(reader(`{"errorDetail":{"message":"invalid diffID"}}`), "")
	require.ErrorContains(t, err, "Docker takes no such image")
	require.NotContains(t, err.Error(), "diffID", "what Docker said is for the log")
	_, err = loadedID(reader(`{"stream":`), "")
	require.Error(t, err)
}
