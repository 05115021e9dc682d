package executortest

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

func logOffsets(b *bench) {
	x, _, all := b.run(b.spec("lines", "1000"))
	require.True(b, strings.HasSuffix(all, "line 999\n"))
	require.Equal(b, int64(len(all)), x.Usage().Log)
	for _, offset := range []int{1, 500, len(all) - 1, len(all), len(all) + 10} {
		require.Equal(b, all[min(offset, len(all)):], b.log(x, int64(offset)))
	}
	_, err := x.Log(b.ctx(), -1)
	require.Error(b, err)
}

func logFollows(b *bench) {
	s := b.spec("tick")
	s.RealTime = true
	x := b.start(s)
	r, err := x.Log(b.ctx(), 0)
	require.NoError(b, err)
	begin := make([]byte, len("tick 0\ntick 1\ntick 2\n"))
	_, err = io.ReadFull(r, begin)
	require.NoError(b, err)
	require.Equal(b, "tick 0\ntick 1\ntick 2\n", string(begin))
	require.True(b, x.Usage().Running)

	ctx, cancel := context.WithCancel(b.ctx())
	waiting, err := x.Log(ctx, 1<<30)
	require.NoError(b, err)
	cancel()
	_, err = waiting.Read(make([]byte, 1))
	require.ErrorIs(b, err, context.Canceled)
	require.NoError(b, waiting.Close())

	require.NoError(b, x.Stop(b.ctx()))
	rest, err := io.ReadAll(r)
	require.NoError(b, err)
	require.NoError(b, r.Close())
	require.Equal(b, b.log(x, 0), string(begin)+string(rest))
}

func logCut(b *bench) {
	s := b.spec("flood", "20000")
	s.Limits.Log = 10_000
	x, r, log := b.run(s)
	require.Equal(b, executor.Exited, r.Cause, "a cut log ends no job")
	require.Zero(b, r.ExitCode)
	require.Less(b, len(log), 10_200)
	require.Equal(b, int64(len(log)), x.Usage().Log)
	_, notice, found := strings.Cut(log[10_000:], "\n")
	require.True(b, found)
	require.Contains(b, notice, "10000")
	require.Equal(b, 1, strings.Count(notice, "\n"))
}

func (b *bench) overTime(s executor.Spec) {
	s.Limits.Time = 500 * time.Millisecond
	_, r, _ := b.run(s)
	require.Equal(b, executor.LimitTime, r.Cause, r.Detail)
	require.GreaterOrEqual(b, r.Ran, s.Limits.Time)
	require.Less(b, r.Ran, s.Limits.Time+time.Second)
}

func timeLimit(b *bench) { b.overTime(b.spec("spin")) }

func timeLimitSleep(b *bench) {
	s := b.spec("sleep", "100000")
	s.RealTime = true
	b.overTime(s)
}

func memoryLimit(b *bench) {
	x, r, log := b.run(b.spec("alloc", "20"))
	require.Equal(b, executor.Exited, r.Cause, r.Detail)
	require.Equal(b, "allocated 20\n", log)
	require.Greater(b, x.Usage().Memory, int64(20<<20))
	_, r, _ = b.run(b.spec("alloc", "200"))
	require.Equal(b, executor.LimitMemory, r.Cause, r.Detail)
}

func diskLimit(b *bench) {
	s := b.spec("fill", "/out", "8")
	s.Outputs = "/out"
	_, r, _ := b.run(s)
	require.Equal(b, executor.Exited, r.Cause, r.Detail)
	s = b.spec("fill", "/out", "1000000")
	s.Outputs = "/out"
	begin := time.Now()
	_, r, _ = b.run(s)
	require.Equal(b, executor.LimitDisk, r.Cause, r.Detail)
	require.Less(b, time.Since(begin), 10*time.Second)
	s = b.spec("fill", "/out", "2") // over the limit, and ended before anybody looked
	s.Outputs, s.Limits.Disk = "/out", 1<<20
	_, r, _ = b.run(s)
	require.Equal(b, executor.LimitDisk, r.Cause, r.Detail)
}

func diskLimitInput(b *bench) {
	s := b.spec("exit", "0")
	s.Limits.Disk = 1000
	s.Inputs = []executor.Input{
		{At: "/a", CID: b.src.File(b, make([]byte, 600))},
		{At: "/b", CID: b.src.File(b, make([]byte, 601))},
	}
	_, err := b.exec.Prepare(b.ctx(), s)
	require.Error(b, err)
}
