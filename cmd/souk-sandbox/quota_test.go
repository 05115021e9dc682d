//go:build linux

package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"pgregory.net/rapid"
)

// writer does at random what a guest can do to its outputs.
type writer struct {
	fs   *quotaFS
	open []experimentalsys.File
}

func (w *writer) step(t *rapid.T) {
	names := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/e", "d/e/b"})
	name, n := names.Draw(t, "name"), rapid.Int64Range(0, 5000).Draw(t, "n")
	switch rapid.IntRange(0, 8).Draw(t, "what") {
	case 0, 1:
		flags := experimentalsys.O_RDWR | rapid.SampledFrom([]experimentalsys.Oflag{
			experimentalsys.O_CREAT, experimentalsys.O_CREAT | experimentalsys.O_APPEND, experimentalsys.O_TRUNC, 0,
		}).Draw(t, "flags")
		if f, errno := w.fs.OpenFile(name, flags, 0o600); errno == 0 {
			w.open = append(w.open, f)
		}
	case 2:
		_ = w.fs.Unlink(name)
	case 3:
		_ = w.fs.Rename(name, names.Draw(t, "to"))
	case 4:
		_ = w.fs.Mkdir(name, 0o700)
	case 5:
		_ = w.fs.Rmdir(name)
	default:
		w.change(t, n)
	}
}

// change writes to one of the open files, cuts it, or closes it.
func (w *writer) change(t *rapid.T, n int64) {
	if len(w.open) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.open)-1).Draw(t, "file")
	f := w.open[i]
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 0:
		_, _ = f.Write(make([]byte, n))
	case 1:
		_, _ = f.Pwrite(make([]byte, 100), n)
	case 2:
		_ = f.Truncate(n)
	case 3:
		_, _ = f.Seek(n, 0)
	case 4:
		_ = f.Close()
		w.open = append(w.open[:i], w.open[i+1:]...)
	}
}

// Whatever a guest does, its quota counts what lies on the disk.
func TestQuotaCountsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		top, err := os.MkdirTemp(dir, "")
		require.NoError(t, err)
		w := &writer{fs: newQuotaFS(top, newQuota(1<<40))}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.step(t)
			require.GreaterOrEqual(t, w.fs.quota.used, held(top, 1<<40))
		}
		for _, f := range w.open {
			_ = f.Close()
		}
		require.Equal(t, held(top, 1<<40), w.fs.quota.used)
		require.NoError(t, os.RemoveAll(top))
	})
}

func TestQuotaEndsTheGuestBeforeItsWrite(t *testing.T) {
	dir := t.TempDir()
	q := newQuota(entryBytes + 100)
	fs := newQuotaFS(dir, q)
	f, errno := fs.OpenFile("a", experimentalsys.O_CREAT|experimentalsys.O_RDWR, 0o600)
	require.Zero(t, errno)
	_, errno = f.Write(make([]byte, 100))
	require.Zero(t, errno)
	_, errno = f.Pwrite(make([]byte, 50), 50)
	require.Zero(t, errno, "what is there may be written again")
	require.False(t, q.hit)
	for what, do := range map[string]func(){
		"write":    func() { _, _ = f.Write([]byte{1}) },
		"pwrite":   func() { _, _ = f.Pwrite([]byte{1}, 1<<62) },
		"truncate": func() { _ = f.Truncate(101) },
		"mkdir":    func() { _ = fs.Mkdir("b", 0o700) },
		"create":   func() { _, _ = fs.OpenFile("b", experimentalsys.O_CREAT|experimentalsys.O_RDWR, 0o600) },
	} {
		q.hit = false
		require.PanicsWithValue(t, errDisk, do, what)
		require.True(t, q.hit, what)
		require.Equal(t, q.limit, held(dir, 1<<40), what)
	}
	require.Zero(t, f.Close())
}
