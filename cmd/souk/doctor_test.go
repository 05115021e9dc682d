package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/config"
	"souk/node/control"
)

// A health check that started a node would take the data directory from the
// one that is just coming up.
func TestDoctorStartsNoNodeWhereNoneIsWanted(t *testing.T) {
	var out, errs bytes.Buffer
	dir := filepath.Join(t.TempDir(), "data")
	a := func() *app {
		return &app{in: &bytes.Buffer{}, out: &out, err: &errs, environ: []string{config.DirEnv + "=" + dir}}
	}
	require.Zero(t, a().main([]string{"init"}), errs.String())
	require.Equal(t, exitFault, a().main([]string{"doctor", "--json", "--no-start"}))
	require.Contains(t, out.String(), `"name":"node","ok":false`)
	require.NoFileExists(t, control.LogPath(dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "the key and the config file, and nothing of a node")
}

func TestAMemberHasOneOfThreeParts(t *testing.T) {
	var out, errs bytes.Buffer
	a := &app{in: &bytes.Buffer{}, out: &out, err: &errs}
	require.Equal(t, exitUsage, a.main([]string{"testnet", "member", "hostile"}))
	require.Contains(t, errs.String(), "use bootstrap, provider or client")
}

func TestTheRemedyForAnOpenDataDirectoryIsToCloseIt(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, os.Chmod(d.dir, 0o755)) //nolint:gosec // the point
	require.Equal(t, exitFault, d.souk("doctor"))
	require.Contains(t, d.out.String(), "is open to other users (-rwxr-xr-x)")
	require.Contains(t, d.out.String(), "close it: chmod 700 "+d.dir)
	require.NotContains(t, d.out.String(), "souk init")
}

// Doctor comes before provide, so it says what provide would find.
func TestTheDoctorSaysWhatAProviderWouldOfferWhereNoneRuns(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, os.Remove(keyFile(d.dir)))
	require.NoError(t, os.Chmod(d.dir, 0o700)) //nolint:gosec // a folder
	require.Zero(t, d.souk("init"), d.err.String())
	tooMuch := []byte("provider: {memory: 900TiB}\n") // so that no executor is needed
	require.NoError(t, os.WriteFile(config.File(d.dir), tooMuch, 0o600))
	require.Equal(t, exitFault, d.souk("doctor"))
	require.Contains(t, d.out.String(), "provider.memory is ")
	d.souk("doctor", "--no-start")
	require.NotContains(t, d.out.String(), "provider.memory", "a health check looks at the node alone")
}
