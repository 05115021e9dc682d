//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseArguments(t *testing.T) {
	entries, program, err := parse([]string{"a.example:443=127.0.0.2", "b.example:80=127.0.0.3", "--", "sh", "-c", "--"})
	require.NoError(t, err)
	require.Equal(t, []string{"sh", "-c", "--"}, program)
	require.Len(t, entries, 2)
	require.Equal(t, "a.example:443 127.0.0.2:443", entries[0].name+" "+entries[0].listen.String())
	for _, args := range [][]string{
		{}, {"--"}, {"--", "sh"}, {"a.example:443=127.0.0.2"}, {"a.example:443=127.0.0.2", "--"}, {"a.example=127.0.0.2", "--", "sh"},
		{"a.example:443=0.0.0.0", "--", "sh"}, {"a.example:443", "--", "sh"}, {"a.example:99999=127.0.0.2", "--", "sh"},
	} {
		_, _, err := parse(args)
		require.Error(t, err, args)
	}
}
