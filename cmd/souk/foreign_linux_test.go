package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// asStranger runs f as a user to whom nothing here belongs; root could write
// everything.
func asStranger(t *testing.T, f func()) {
	if os.Getuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Setfsuid(nobody) // this thread's alone, and never an error
	defer func() { _ = unix.Setfsuid(0) }()
	f()
}

func TestADataDirectoryOfSomebodyElseIsNamed(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, os.Remove(keyFile(d.dir)))
	require.NoError(t, os.Chmod(filepath.Dir(d.dir), 0o755))         //nolint:gosec // a folder
	require.NoError(t, os.Chmod(d.dir, 0o500))                       //nolint:gosec // a folder
	t.Cleanup(func() { require.NoError(t, os.Chmod(d.dir, 0o700)) }) //nolint:gosec // a folder
	var initialized, doctored int
	var said string
	asStranger(t, func() {
		initialized = d.souk("init")
		said = d.err.String()
		doctored = d.souk("doctor")
	})
	require.Equal(t, exitSouk, initialized)
	require.Contains(t, said, "this user may not write the data directory "+d.dir+"; `ls -ld "+d.dir+"` says whose it is")
	require.NotContains(t, said, ".key-")
	require.Equal(t, exitFault, doctored)
	require.Contains(t, d.out.String(), "sudo chown -R")
	require.NotContains(t, d.out.String(), "souk init")
}
