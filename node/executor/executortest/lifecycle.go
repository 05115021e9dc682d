package executortest

import (
	"io/fs"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

func stop(b *bench) {
	x := b.start(b.spec("spin"))
	require.Error(b, x.Start(b.ctx()), "a second start")
	require.Error(b, x.Remove(), "removing what runs")
	begin := time.Now()
	require.NoError(b, x.Stop(b.ctx()))
	require.Less(b, time.Since(begin), time.Second)
	require.Equal(b, executor.Stopped, b.wait(x).Cause)
	require.NoError(b, x.Stop(b.ctx()))

	ended, before, _ := b.run(b.spec("exit", "3"))
	require.NoError(b, ended.Stop(b.ctx()))
	require.Equal(b, before, ended.Result())
}

func stopPrepared(b *bench) {
	x := b.prepare(b.spec("lines", "1"))
	require.Zero(b, x.Usage().Ran)
	require.NoError(b, x.Stop(b.ctx()))
	require.Equal(b, executor.Stopped, x.Result().Cause)
	require.Zero(b, x.Result().Ran)
	require.Error(b, x.Start(b.ctx()))
	require.Empty(b, b.log(x, 0), "no guest code ran")
}

func removeAll(b *bench) {
	s := b.spec("copy", "/secret-input", "/out/secret-output")
	s.Inputs = []executor.Input{{At: "/secret-input", CID: b.src.File(b, []byte("x"))}}
	s.Outputs = "/out"
	x, _, _ := b.run(s)
	require.NoError(b, x.Remove())
	err := filepath.WalkDir(b.dir, func(path string, _ fs.DirEntry, err error) error {
		require.NoError(b, err)
		require.NotContains(b, path, "secret")
		require.NotContains(b, path, s.ID)
		return nil
	})
	require.NoError(b, err)
	_, err = b.exec.Prepare(b.ctx(), s)
	require.NoError(b, err, "the ID is free again")
}

func recoverRunning(b *bench) {
	s := b.spec("tick")
	s.RealTime, s.Outputs = true, "/out"
	before := b.start(s)
	time1 := before.Usage().Ran
	found := b.restart()
	require.Len(b, found, 1)
	x := found[0]
	require.Equal(b, s.ID, x.ID())
	u := x.Usage()
	require.True(b, u.Running)
	require.Greater(b, u.Ran, time1)
	r, err := x.Log(b.ctx(), 0)
	require.NoError(b, err)
	seen := make([]byte, 100) // more than was there at the restart
	_, err = r.Read(seen)
	require.NoError(b, err)
	require.NoError(b, r.Close())
	require.Error(b, x.Start(b.ctx()), "it runs already")
	require.NoError(b, x.Stop(b.ctx()))
	require.Equal(b, executor.Stopped, x.Result().Cause)
	require.GreaterOrEqual(b, x.Result().Ran, u.Ran)
	require.NotEmpty(b, x.OutputDir())
	require.NoError(b, x.Remove())
	require.Empty(b, b.restart())
}

func recoverEnded(b *bench) {
	s := b.spec("copy", "/in", "/out/x")
	s.Inputs = []executor.Input{{At: "/in", CID: b.src.File(b, []byte("x"))}}
	s.Outputs = "/out"
	before, r, _ := b.run(s)
	_, _, _ = b.run(b.spec("lines", "10"))
	found := b.restart()
	require.Len(b, found, 2)
	for _, x := range found {
		require.Equal(b, executor.Exited, b.wait(x).Cause)
		if x.ID() != s.ID {
			require.Len(b, b.log(x, 0), len("line 0\n")*10)
			continue
		}
		require.Equal(b, r, x.Result())
		require.Equal(b, before.OutputDir(), x.OutputDir())
		require.Equal(b, before.Usage(), x.Usage())
	}
}

func closeStops(b *bench) {
	x := b.start(b.spec("spin"))
	require.NoError(b, b.exec.Close(false))
	require.Equal(b, executor.Stopped, b.wait(x).Cause)
	_, err := b.exec.Prepare(b.ctx(), b.spec("exit", "0"))
	require.Error(b, err)
	b.exec = b.subject.Open(b.T, b.dir, b.src)
}
