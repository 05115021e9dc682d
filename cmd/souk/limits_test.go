package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/limit"
	"souk/node"
	"souk/node/config"
)

func TestLimitsAreShown(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk("config", "limits"))
	for _, row := range []string{
		`control frame +64 KiB +protocol/wire +– +malformed, before its first byte is read`,
		`open quotes of a peer +8 +node/provider +– +refused with busy`,
		`image, unpacked +64 GiB +node/executor/docker +docker.max_image +`,
	} {
		require.Regexp(t, row, d.out.String())
	}
	require.Zero(t, d.souk("config", "limits", "--json"))
	var got []limit.Limit
	for line := range strings.Lines(d.out.String()) {
		var l limit.Limit
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		got = append(got, l)
	}
	byItself, err := config.Load(config.Sources{DataDir: d.dir})
	require.NoError(t, err)
	require.Equal(t, node.Limits(byItself.Config), got)
}

func TestALimitIsShownAsItWasConfigured(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, config.FileName), []byte("docker: {max_image: 3GiB}\nclient: {cap_peer: 0}\n"), 0o600))
	require.Zero(t, d.souk("config", "limits"), d.err.String())
	require.Regexp(t, `image, unpacked +3 GiB `, d.out.String())
	require.Regexp(t, `what one provider could keep +0 USD `, d.out.String())
}
