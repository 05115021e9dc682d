package client_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// jumpy is a clock whose wall time can be set.
type jumpy struct {
	client.Clock
	shift atomic.Int64 // ns
}

func newJumpy() *jumpy {
	j := &jumpy{Clock: client.SystemClock()}
	j.Now = func() time.Time { return time.Now().Add(time.Duration(j.shift.Load())) }
	return j
}

// A wall clock that is set during a job changes nothing: what passes is told
// by the monotonic one.
func TestTheWallClockIsSetDuringAJob(t *testing.T) {
	for name, by := range map[string]time.Duration{"back": -time.Hour, "on": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, script{price: 360_000, speed: 100, forever: true, output: "x"})
			a, j := newActor(t, f), newJumpy()
			a.clock = j.Clock
			e := a.start(nil)
			id, err := e.Submit(t.Context(), spec(t, nil), "")
			require.NoError(t, err)
			ch, err := e.Watch(t.Context(), id, 0)
			require.NoError(t, err)
			for ev := range ch {
				if ev.Kind == client.Ticked && ev.Seq == 2 {
					j.shift.Store(int64(by))
				}
				if ev.Kind == client.Ticked && ev.Seq == 5 {
					require.NoError(t, e.Cancel(t.Context(), id))
				}
			}
			info, err := e.Job(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, "cancelled", info.Executions[0].Outcome, info.Executions[0].Text)
		})
	}
}

// Time that this machine slept through is time in which a provider ran.
func TestThisMachineSleepsDuringAJob(t *testing.T) {
	f := newFake(t, script{price: 360_000, speed: 100, ticks: 3, output: "x"})
	a, asked := newActor(t, f), atomic.Int64{}
	a.clock = client.SystemClock()
	mono := a.clock.Mono
	a.clock.Awake = func() time.Duration {
		if asked.Add(1) == 1 { // the start
			return mono()
		}
		return mono() + 3*time.Second
	}
	e := a.start(nil)
	f.charge(3 * time.Second)
	id := once(t, e)
	_, last := finished(t, e, id)
	require.Equal(t, client.SourceJob, last.Source, last.Text)
}

// After a restart only the wall clock tells since when a job runs. Where that
// was set back, a provider isn't accused; where it was set on, a provider gets
// no more for it than what was covered.
func TestTheWallClockWasSetBeforeARestart(t *testing.T) {
	for name, by := range map[string]time.Duration{"back": -time.Hour, "on": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script{price: 360_000, speed: 100, forever: true, output: "x"}
			f := newFake(t, s)
			a, j := newActor(t, f), newJumpy()
			a.clock = j.Clock
			e := a.start(nil)
			id, err := e.Submit(t.Context(), spec(t, nil), "")
			require.NoError(t, err)
			ch, err := e.Watch(t.Context(), id, 0)
			require.NoError(t, err)
			for ev := range ch {
				if ev.Kind == client.Ticked && ev.Seq == 2 {
					break
				}
			}
			a.stop()
			j.shift.Store(int64(by))
			if by > 0 {
				f.charge(30 * time.Second) // of a lease of a minute
			}
			e = a.start(nil)
			events, last := finished(t, e, id)
			require.Equal(t, string(client.Lost), last.Code, last.Text)
			require.Empty(t, noticed(events, client.Cheated))
			info, err := e.Job(t.Context(), id)
			require.NoError(t, err)
			require.True(t, info.Executions[0].Vouchered.Less(market.NewAmount(2000)), "little was paid: %s", info.Executions[0].Vouchered)
			requireCheated(t, a, f, info.Executions[0], "")
		})
	}
}

func TestAClockThatIsWrongByAnHourIsNamed(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		e := newActor(t, newFake(t, script{price: 360_000, skew: skew})).start(nil)
		_, err := e.Plan(t.Context(), spec(t, nil))
		require.True(t, wire.IsCode(err, wire.ClockSkew), "%v", err)
		require.ErrorContains(t, err, "set the one that is wrong")
		id, err := e.Submit(t.Context(), spec(t, nil), "")
		require.NoError(t, err)
		_, last := finished(t, e, id)
		require.Equal(t, string(wire.ClockSkew), last.Code, last.Text)
	}
}
