package client_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// rescued runs a job for which the bad provider is the cheapest, and an honest
// one there too; the job must end well on the honest one.
func rescued(t *testing.T, bad script) (bads *fake, info client.JobInfo, events []client.Event) {
	t.Helper()
	bad.price, bad.speed = 360_000, 100
	f := newFake(t, bad)
	good := newFake(t, script{price: 3_600_000, speed: 100, ticks: 2, output: "42"})
	e := newActor(t, f, good).start(nil)
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	events, last := finished(t, e, id)
	require.Equal(t, client.SourceJob, last.Source, last.Text)
	info, err = e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, good.host.ID().String(), info.Executions[len(info.Executions)-1].Peer)
	return f, info, events
}

func noticed(events []client.Event, code wire.Code) (text string) {
	for _, ev := range events {
		if ev.Kind == client.Notice && ev.Code == string(code) {
			text += ev.Text + "\n"
		}
	}
	return text
}

func TestOutputsThatNeverComeAreWithheld(t *testing.T) {
	for name, s := range map[string]script{
		"broken off each time":              {cut: true},
		"never begun":                       {stall: true},
		"never begun, conversations cut":    {stall: true, hangUp: true},
		"broken off, and the conversations": {cut: true, hangUp: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.ticks, s.output = 1, "x"
			bad, info, events := rescued(t, s)
			require.Len(t, info.Executions, 2)
			require.Equal(t, "provider_failed", info.Executions[0].Outcome)
			require.Contains(t, info.Executions[0].Text, "outputs that it doesn't give")
			require.Contains(t, noticed(events, client.ProviderFailed), "could keep at most")
			bad.mu.Lock()
			defer bad.mu.Unlock()
			require.LessOrEqual(t, bad.gets, 12, "the outputs were asked for too often")
		})
	}
}

func TestMalformedNewsIsCheating(t *testing.T) {
	bad, info, events := rescued(t, script{badLog: true})
	require.Equal(t, "cheated", info.Executions[0].Outcome)
	require.Contains(t, noticed(events, client.Cheated), "malformed")
	bad.mu.Lock()
	defer bad.mu.Unlock()
	for _, l := range bad.leases {
		require.Equal(t, 3, l.attaches)
	}
}

func TestQuotesThatAreNotWhatTheOfferOrTheRequestSaid(t *testing.T) {
	for want, s := range map[string]script{
		"it quotes 1.08/h, its own signed offer says 0.36/h":           {dearer: 3},
		"it quotes 0.36 for a tick, its own signed offer says 0.0001":  {longTick: true},
		"its terms let it send 1TiB of log and 1MiB of outputs; this ": {hugeLog: true},
		"it leases for 120000 ms, 60000 were asked for":                {longer: true},
	} {
		t.Run(want[:20], func(t *testing.T) {
			t.Parallel()
			_, info, events := rescued(t, s)
			require.Len(t, info.Executions, 1)
			for _, ev := range events {
				if ev.Kind == client.Considered {
					require.Contains(t, ev.Plan.Candidates[1].WhyNot, want)
				}
			}
		})
	}
}

func TestWantOfCoverIsThisNodesFaultOnce(t *testing.T) {
	f := newFake(t, script{price: 360_000, speed: 100, ticks: 1, uncovered: 1, output: "x"})
	e := newActor(t, f).start(nil)
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, client.SourceJob, last.Source, last.Text)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, info.Executions, 2, "the same provider was leased again")
	require.Equal(t, "cancelled", info.Executions[0].Outcome)
	require.Contains(t, info.Executions[0].Text, "this node did not pay in time")

	_, info, _ = rescued(t, script{ticks: 1, uncovered: 5, output: "x"})
	require.Len(t, info.Executions, 3, "who says so twice is left out")
}

// What providers hold of a job's money is never above its total, whatever
// they do, also those that kept a voucher and refused the lease.
func TestVouchersOfAJobStayWithinItsTotal(t *testing.T) {
	bads := []script{
		{refuseAccept: wire.Taken}, {refuseAccept: wire.NoMatch}, {ticks: 3, overCharge: true}, {ticks: 3, equivocate: true},
		{ticks: 3, dieAfter: 2}, {ticks: 2, exitFails: true}, {ticks: 2, withhold: true, output: "x"}, {badLog: true}, {ticks: 1, uncovered: 9},
		{ticks: 1}, {loseAccepts: 1000}, {loseAnswers: 1},
	}
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed) // to replay, put it here
			rnd := rand.New(rand.NewPCG(seed, 0))
			var fakes []*fake
			for range 2 + rnd.IntN(5) {
				s := bads[rnd.IntN(len(bads))]
				s.price, s.speed = 360_000*(1+rnd.Uint64N(9)), 100 // 100 to 900 a tick
				fakes = append(fakes, newFake(t, s))
			}
			a := newActor(t, fakes...)
			a.times.Lost = time.Second
			e := a.start(nil)
			total := market.NewAmount(300 + rnd.Uint64N(3000))
			id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Total, s.Time = total, 5*time.Second }), "")
			require.NoError(t, err)
			events, last := finished(t, e, id)
			requireWithin(t, total, fakes, events)
			require.False(t, total.Less(*last.Spent))
		})
	}
}

// What a failed provider holds beyond its charge isn't there for the next one.
func TestWhatFailedProvidersHoldCountsAgainstTheTotal(t *testing.T) {
	var fakes []*fake
	for i := range uint64(2) {
		fakes = append(fakes, newFake(t, script{price: 1_080_000 + i, speed: 100, ticks: 1, exitFails: true})) // 300 a tick
	}
	fakes = append(fakes, newFake(t, script{price: 1_090_000, speed: 100, ticks: 1}))
	e := newActor(t, fakes...).start(nil)
	total := market.NewAmount(700)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Total = total }), "")
	require.NoError(t, err)
	events, _ := finished(t, e, id)
	requireWithin(t, total, fakes, events)
}

// requireWithin sees that what providers hold, all together, is within a job's total.
func requireWithin(t *testing.T, total market.Amount, fakes []*fake, events []client.Event) {
	t.Helper()
	var sum market.Amount
	for _, f := range fakes {
		f.mu.Lock()
		sum = sum.Add(f.highest)
		f.mu.Unlock()
	}
	require.False(t, total.Less(sum), "they hold %s, the total is %s: %s", sum, total, told(events))
}

// told is what people would be told, a line each.
func told(events []client.Event) (text string) {
	for _, ev := range events {
		text += fmt.Sprintf("%s %s %s %s\n", ev.Kind, ev.Peer, ev.Outcome, ev.Text)
	}
	return text
}
