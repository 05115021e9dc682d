//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
)

// The jail must hold where there is no Landlock, so it is tried without.
func TestJailKeepsPathsInside(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	require.NoError(t, os.Mkdir(inside, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600))
	// No guest can make this link; were one there, it is not followed.
	require.NoError(t, os.Symlink("../secret", filepath.Join(inside, "link")))
	j := &jail{FS: sysfs.DirFS(inside), fixed: true}
	for _, p := range []string{"../secret", "a/../../secret", "..", "/secret", "link", "./../secret", "link/"} {
		_, errno := j.OpenFile(p, experimentalsys.O_RDONLY, 0)
		require.NotZero(t, errno, p)
		_, errno = j.OpenFile(p, experimentalsys.O_RDWR|experimentalsys.O_CREAT|experimentalsys.O_TRUNC, 0o600)
		require.NotZero(t, errno, p)
	}
	for _, p := range []string{"../new", "..", "a/../../new"} {
		require.NotZero(t, j.Mkdir(p, 0o700), p)
		require.NotZero(t, j.Rename("link", p), p)
		require.NotZero(t, j.Rename(p, "x"), p)
		require.NotZero(t, j.Unlink(p), p)
		require.NotZero(t, j.Rmdir(p), p)
		require.NotZero(t, j.Chmod(p, 0o777), p)
		require.NotZero(t, j.Utimens(p, 0, 0), p)
		_, errno := j.Stat(p)
		require.NotZero(t, errno, p)
	}
	require.NotZero(t, j.Symlink("/etc/passwd", "x"))
	require.NotZero(t, j.Link("link", "x"))
	raw, err := os.ReadFile(filepath.Join(dir, "secret"))
	require.NoError(t, err)
	require.Equal(t, "x", string(raw))
}

func TestProcessThatKeepsAFileIsSeen(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo up; read go; exec 9</etc/passwd; echo opened; read go; exec 9<&-; echo closed; read go")
	orders, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := bufio.NewScanner(out)
	p := &process{proc: fmt.Sprintf("/proc/%d/", cmd.Process.Pid)}
	for _, step := range []struct {
		word    string
		changed bool
	}{{"up", false}, {"opened", true}, {"closed", false}} {
		require.True(t, said.Scan())
		require.Equal(t, step.word, said.Text())
		if p.own == nil {
			p.own, err = p.files()
			require.NoError(t, err)
		}
		require.Equal(t, step.changed, p.changed(), step.word)
		_, err := orders.Write([]byte("\n"))
		require.NoError(t, err)
	}
	require.NoError(t, cmd.Wait())
	require.True(t, p.changed(), "one that can't be looked at")
}

// A guest sees time pass and never go back, whatever it sleeps.
func TestVirtualClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &virtualClock{}
		for _, d := range rapid.SliceOf(rapid.Int64()).Draw(t, "sleeps") {
			before := c.nano()
			c.sleep(d)
			after := c.nano()
			require.LessOrEqual(t, before, after)
			if d > 0 && d < int64(time.Hour) && after < clockEnd {
				require.GreaterOrEqual(t, after, before+d)
			}
			sec, nsec := c.wall()
			require.GreaterOrEqual(t, sec, int64(fixedEpoch))
			require.Less(t, nsec, int32(time.Second))
			require.GreaterOrEqual(t, nsec, int32(0))
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	m := &memory{limit: 10 * pageSize}
	a, b := m.Allocate(0, 1<<32), m.Allocate(0, 1<<32)
	buf := a.Reallocate(6 * pageSize)
	require.Len(t, buf, 6*pageSize)
	buf[6*pageSize-1] = 1
	require.True(t, b.Reallocate(5*pageSize) == nil, "all memories together")
	require.True(t, m.hit)
	m.hit = false
	require.Len(t, b.Reallocate(4*pageSize), 4*pageSize)
	require.False(t, m.hit)
	a.Free()
	require.Len(t, b.Reallocate(10*pageSize), 10*pageSize)
	require.True(t, b.Reallocate(11*pageSize) == nil)
	b.Free()
	require.Zero(t, m.used)
}

func FuzzForeignImport(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x02\x0b\x01\x03env\x01g\x03\x7f\x00"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x02\xff\xff\xff\xff\x0f\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzztest.Bound(t)
		foreignImport(raw)
	})
}
