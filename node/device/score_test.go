package device

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
)

// loopInGo is what the module computes, written a second time.
func loopInGo() (x uint64, f float64) {
	memory := make([]uint64, 65536/8)
	x = 1
	for range Loops {
		x = x*6364136223846793005 + 11
		at := x >> 48 & 65520
		f = math.Sqrt(f + float64(at))
		x ^= memory[at/8]
		memory[at/8] = x
	}
	return x, f
}

func TestTheLoopComputesWhatItSays(t *testing.T) {
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	compiled, err := runtime.CompileModule(ctx, Loop())
	require.NoError(t, err)
	require.Empty(t, compiled.ImportedFunctions())
	began := time.Now()
	instance, err := runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig())
	require.NoError(t, err)
	t.Logf("%d rounds took %v", Loops, time.Since(began))

	x, f := loopInGo()
	gotX, ok := instance.Memory().ReadUint64Le(0)
	require.True(t, ok)
	require.Equal(t, x, gotX)
	gotF, ok := instance.Memory().ReadFloat64Le(8)
	require.True(t, ok)
	require.Equal(t, f, gotF)
}

func TestScoreCountsTheFastestRun(t *testing.T) {
	took := []time.Duration{300 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}
	score, err := Score(context.Background(), func(_ context.Context, module []byte) (time.Duration, error) {
		require.Equal(t, loopModule, module)
		module[0]++ // what a run does to its copy is its own affair
		next := took[0]
		took = took[1:]
		return next, nil
	})
	require.NoError(t, err)
	require.Equal(t, uint64(Loops*10), score)
	require.Empty(t, took)
}

func TestScoreSaysWhyThereIsNone(t *testing.T) {
	broken := errors.New("no child process")
	_, err := Score(context.Background(), func(context.Context, []byte) (time.Duration, error) { return 0, broken })
	require.ErrorIs(t, err, broken)
	_, err = Score(context.Background(), func(context.Context, []byte) (time.Duration, error) { return 0, nil })
	require.ErrorContains(t, err, "clock")
	score, err := Score(context.Background(), func(context.Context, []byte) (time.Duration, error) { return math.MaxInt64, nil })
	require.NoError(t, err)
	require.Equal(t, uint64(1), score)
}
