package client_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// searches is how often the actor's node was searched.
func (a *actor) searches() int {
	a.finder.mu.Lock()
	defer a.finder.mu.Unlock()
	return len(a.finder.asked)
}

func TestJobsThatArePlacedTogetherShareASearch(t *testing.T) {
	a := newActor(t, newFake(t, script{price: 360_000, ticks: 1, output: "42"}))
	a.times.Recent = time.Hour
	e := a.start(nil)
	_, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	once := a.searches()
	require.Positive(t, once)

	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			plan, err := e.Plan(t.Context(), spec(t, nil))
			if err != nil || plan.Code != "" {
				t.Errorf("%v, %s", err, plan.Summary)
			}
		})
	}
	wg.Wait()
	require.Equal(t, once, a.searches())

	_, err = e.Plan(t.Context(), spec(t, func(s *jobfile.Spec) { s.GPU = &market.GPUNeed{Name: "RTX4090", Count: 1} }))
	require.NoError(t, err)
	twice := a.searches()
	require.Greater(t, twice, once, "another need")
	_, err = e.Plan(t.Context(), spec(t, func(s *jobfile.Spec) { s.GPU = &market.GPUNeed{Name: "RTX4090", Count: 1} }))
	require.NoError(t, err)
	require.Greater(t, a.searches(), twice, "what found nothing that fits doesn't count")

	before := a.searches()
	_, err = e.Offers(t.Context(), client.Need{All: true})
	require.NoError(t, err)
	require.Greater(t, a.searches(), before, "who looks at all wants to know who is there now")
}

// Whom nobody took wants to know who else is there by now; others make do with what was found.
func TestWhoFoundNobodySearchesAnew(t *testing.T) {
	a := newActor(t, newFake(t, script{price: 360_000, ticks: 1, refuseAccept: wire.Taken}))
	a.times.Recent, a.times.Lost = time.Hour, time.Hour
	a.clock = client.SystemClock()
	mono := a.clock.Mono
	a.clock.Mono = func() time.Duration { return 60 * mono() } // a pause of Times.Busy is 3 s
	e := a.start(nil)
	for range 2 {
		before := a.searches()
		id, err := e.Submit(t.Context(), spec(t, nil), "")
		require.NoError(t, err)
		_, last := finished(t, e, id)
		require.Equal(t, string(wire.Taken), last.Code, last.Text)
		require.Greater(t, a.searches(), before)
	}
	before := a.searches()
	_, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	require.Equal(t, before, a.searches())
}
