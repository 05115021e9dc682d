package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A node that answered no more still held its ledger, and the next one failed.
func TestDownWaitsUntilTheDirectoryIsFree(t *testing.T) {
	d := newDesk(t)
	looks := 0
	d.held = func(dir string) (bool, error) {
		require.Equal(t, d.dir, dir)
		looks++
		return looks < 3, nil
	}
	require.Zero(t, d.souk("node", "down"), d.err.String())
	require.Equal(t, 3, looks)
	require.Equal(t, "the node has stopped\n", d.out.String())
}

func TestTheNodeOfABootstrapIsListed(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk("node", "--help"))
	require.Regexp(t, `(?m)^ +run .*Run a node in the foreground`, d.out.String())
}
