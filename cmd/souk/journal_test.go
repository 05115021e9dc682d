package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"souk/node/config"
)

func TestTheJournalHasTimesOfItsOwn(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(int(f.Fd()), &st))
	here := fmt.Sprintf("JOURNAL_STREAM=%d:%d", st.Dev, st.Ino)

	logged := func(a *app) string {
		a.logger(config.Config{}).Info("a line")
		b, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		require.NoError(t, f.Truncate(0))
		_, err = f.Seek(0, 0)
		require.NoError(t, err)
		return string(b)
	}
	require.Equal(t, "level=INFO msg=\"a line\"\n", logged(&app{err: f, environ: []string{here}}))
	require.Regexp(t, `^time=\S+ level=INFO`, logged(&app{err: f, environ: []string{"JOURNAL_STREAM=1:2"}}), "it was redirected to a file")
	require.Regexp(t, `^time=\S+ level=INFO`, logged(&app{err: f}))

	var out bytes.Buffer
	(&app{err: &out, environ: []string{here}}).logger(config.Config{}).Info("a line")
	require.Regexp(t, `^time=`, out.String())
}
