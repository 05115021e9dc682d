package provider_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

// A log that was kept before a crash is kept again, and leaves no other name
// of it behind.
func TestALogThatIsKeptTwiceHasOneName(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	a := g.lease()
	kept := filepath.Join(s.dir, "logs", a.Lease.Hash().Hex()+".log")
	log := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(log, []byte("hello\n"), 0o600))
	v := g.attach(a, 0)
	job := s.started()
	job.say("hello\n")
	require.NoError(t, os.Link(log, kept))
	job.logTo(log)
	job.exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.NoError(t, v.next(settled(v.last.Seq)))
	require.NoFileExists(t, kept+".part")
	require.FileExists(t, kept)
}

// A log that is a file is kept by another name for it, also where an attempt to
// do so was cut short; any other is copied.
func TestALogIsKeptWithoutACopy(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	for what, there := range map[string]bool{"a file that is there": true, "one that is not": false} {
		a := g.lease()
		kept := filepath.Join(s.dir, "logs", a.Lease.Hash().Hex()+".log")
		log := filepath.Join(t.TempDir(), "log")
		other := filepath.Join(t.TempDir(), "other")
		require.NoError(t, os.WriteFile(other, []byte("not to be written to"), 0o600))
		require.NoError(t, os.Link(other, kept+".part"))
		v := g.attach(a, 0)
		job := s.started()
		job.say("hello\n")
		if there {
			require.NoError(t, os.WriteFile(log, []byte("hello\n"), 0o600))
		}
		job.logTo(log)
		job.exit(executor.Exited, 0)
		require.NoError(t, v.next(isDone))
		require.NoError(t, v.next(settled(v.last.Seq)))
		raw, err := os.ReadFile(kept)
		require.NoError(t, err)
		require.Equal(t, "hello\n", string(raw), what)
		require.NoFileExists(t, kept+".part")
		if there {
			was, err := os.Stat(log)
			require.NoError(t, err)
			is, err := os.Stat(kept)
			require.NoError(t, err)
			require.True(t, os.SameFile(was, is))
		}
		raw, err = os.ReadFile(other)
		require.NoError(t, err)
		require.Equal(t, "not to be written to", string(raw), what)
		v.s.Close()
	}
}
