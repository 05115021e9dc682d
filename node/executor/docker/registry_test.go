package docker

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "127.0.0.1": false, "10.1.2.3": false, "192.168.1.1": false, "172.16.0.1": false,
		"169.254.169.254": false, "100.100.100.200": false, "0.0.0.0": false, "::1": false, "::": false, "fd00:ec2::254": false, "fe80::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "224.0.0.1": false, "255.255.255.255": false, "::127.0.0.1": false,
	} {
		require.Equal(t, want, public(netip.MustParseAddr(address)), address)
	}
}

func TestCredentials(t *testing.T) {
	none, err := credentials("")
	require.NoError(t, err)
	header, err := none.header("example.org")
	require.NoError(t, err)
	require.Empty(t, header)

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
	header, err = a.header("example.org:5000")
	require.NoError(t, err)
	require.NotEmpty(t, header)

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
	require.ErrorContains(t, err, "invalid diffID")
	_, err = loadedID(reader(`{"stream":`), "")
	require.Error(t, err)
}
