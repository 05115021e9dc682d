package docker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/docker/pid1"
)

// The node was last seen alive at noon, and is back an hour later.
func TestWhoseDoingAnEndWas(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	e := &Executor{cfg: Config{Outlast: 10 * time.Minute}, life: &life{before: noon, since: noon.Add(time.Hour)}}
	for name, c := range map[string]struct {
		asked   executor.Cause // what this process asked for
		code    int
		took    time.Duration // the limit is 30 min
		ended   time.Time
		cause   executor.Cause
		nodeWas bool // the provider's doing: its node was away
	}{
		"killed from here":                 {executor.Stopped, pid1.ExitKilled, time.Minute, noon.Add(2 * time.Hour), executor.Stopped, false},
		"killed from here, unseen":         {executor.LimitTime, pid1.ExitKilled, 0, time.Time{}, executor.LimitTime, false},
		"its time was up while alone":      {"", pid1.ExitKilled, 30 * time.Minute, noon.Add(5 * time.Minute), executor.LimitTime, false},
		"and asked for, too":               {executor.LimitTime, pid1.ExitKilled, 30 * time.Minute, noon.Add(5 * time.Minute), executor.LimitTime, false},
		"alone for too long":               {"", pid1.ExitKilled, 20 * time.Minute, noon.Add(10*time.Minute + 3*time.Second), "", true},
		"asked for after that":             {executor.LimitTime, pid1.ExitKilled, 20 * time.Minute, noon.Add(10*time.Minute + 3*time.Second), "", true},
		"killed by itself while alone":     {executor.LimitTime, pid1.ExitKilled, 20 * time.Minute, noon.Add(9 * time.Minute), "", false},
		"an exit of its own":               {"", 3, 20 * time.Minute, noon.Add(11 * time.Minute), "", false},
		"killed by itself with a node":     {"", pid1.ExitKilled, 20 * time.Minute, noon.Add(2 * time.Hour), "", false},
		"its time was up with a node":      {"", pid1.ExitKilled, 30 * time.Minute, noon.Add(2 * time.Hour), executor.LimitTime, false},
		"over its time by exit of its own": {"", 3, 31 * time.Minute, noon.Add(2 * time.Hour), "", false},
	} {
		x := newExecution(e, t.TempDir(), record{Limits: executor.Limits{Time: 30 * time.Minute}}, nil)
		x.cause = c.asked
		end := exit{known: true, code: c.code, took: c.took, ended: c.ended}
		require.Equal(t, c.cause, x.whose(&end), name)
		require.Equal(t, c.nodeWas, end.lost, name)
		x.end()
	}
}
