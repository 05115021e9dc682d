package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// underLease is a provider that answers challenges under a lease alone.
func underLease(t *testing.T, price uint64, d *devices) *fake {
	return d.serve(newFake(t, script{price: price, ticks: 1, output: "42", device: gpu(2, "claimed"), proves: offer.ChallengeLease}))
}

// theLease is the only one that a fake has.
func (f *fake) theLease() *fakeLease {
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Len(f.t, f.leases, 1)
	for _, l := range f.leases {
		return l
	}
	return nil
}

func onlyOnce(s *jobfile.Spec) {
	challenged(s)
	s.Retries = 0
}

func TestDevicesAreChallengedUnderTheLeaseBeforeItsProcessBegins(t *testing.T) {
	d := &devices{}
	f := underLease(t, 360_000, d)
	e := newActor(t, f).start(nil)
	plan, err := e.Plan(t.Context(), spec(t, challenged))
	require.NoError(t, err)
	require.Contains(t, plan.Candidates[0].Why, "challenged under its lease")
	require.Zero(t, d.asked.Load(), "nothing is leased yet")
	require.EqualValues(t, 2*time.Minute.Milliseconds(), f.asked.MaxMillis, "the challenge shall not come off the job's own minute")

	id, err := e.Submit(t.Context(), spec(t, challenged), "")
	require.NoError(t, err)
	events, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	require.Equal(t, fakeLog, logOf(events))
	l := f.theLease()
	require.Equal(t, l.a.Lease.Hash(), d.start.Load().Lease, "its own devices")
	require.True(t, l.began)
	require.Equal(t, 2, d.kept.Load().Count, "what was measured goes back")

	id, err = e.Submit(t.Context(), spec(t, challenged), "")
	require.NoError(t, err)
	_, last = finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	require.EqualValues(t, 1, d.asked.Load(), "a verdict counts for a while")
}

func TestWhoIsCaughtUnderALeaseIsNotPaidAndTheNextOneRunsTheJob(t *testing.T) {
	liar, good := underLease(t, 100_000, &devices{wrong: true}), underLease(t, 900_000, &devices{})
	a := newActor(t, liar, good)
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, onlyOnce), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, "it doesn't count as an execution of the job: %s", last.Text)

	l := liar.theLease()
	require.False(t, l.began, "the process never began")
	require.True(t, l.cancel, "and its provider was told")
	require.Empty(t, l.counter, "nothing was countersigned")
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, info.Executions, 2)
	first := info.Executions[0]
	require.Equal(t, liar.host.ID().String(), first.Peer)
	require.Equal(t, market.ProviderFailed.String(), first.Outcome)
	require.Contains(t, first.Text, "it was caught (wrong_product)")
	require.Equal(t, good.host.ID().String(), info.Executions[1].Peer)

	plan, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	for _, c := range plan.Candidates {
		if c.Peer == liar.host.ID().String() {
			require.Equal(t, string(client.Cheated), c.Code, "it is never leased again")
		}
	}
}

func TestWhoTakesNoChallengeUnderALeaseIsPaidForTheWaitAndLeft(t *testing.T) {
	shy := underLease(t, 100_000, &devices{refusal: wire.Refuse(wire.NoMatch, "no driver here computes")})
	good := underLease(t, 900_000, &devices{})
	e := newActor(t, shy, good).start(nil)
	id, err := e.Submit(t.Context(), spec(t, onlyOnce), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	l := shy.theLease()
	require.False(t, l.began)
	require.Len(t, l.counter, 1, "the last receipt, of a lease that was cancelled")
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, market.Cancelled.String(), info.Executions[0].Outcome)
	require.Contains(t, info.Executions[0].Text, "it takes no challenge of the leased devices: no driver")
	plan, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	require.Empty(t, plan.Code, "it is accused of nothing")
	require.Empty(t, plan.Candidates[0].WhyNot)
	require.Empty(t, plan.Candidates[1].WhyNot)
}

// Its client is paying meanwhile, so a provider has no more than holdTime.
func TestWhoLeavesAChallengeUnderALeaseUnansweredIsLeft(t *testing.T) {
	d := &devices{}
	d.hang.Store(true)
	bad, good := underLease(t, 100_000, d), underLease(t, 900_000, &devices{})
	a := newActor(t, bad, good)
	a.asks.Answers, a.times.Lost = 5*time.Second, time.Minute
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, onlyOnce), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, info.Executions, 2)
	require.Contains(t, info.Executions[0].Text, "it left a challenge of the leased devices unanswered")
	require.Equal(t, market.Cancelled.String(), info.Executions[0].Outcome)
	require.False(t, bad.theLease().began)
}

// A restart in the middle of a challenge makes it anew.
func TestAClientThatWasKilledInAChallengeGoesOnWithIt(t *testing.T) {
	d := &devices{}
	d.hang.Store(true)
	f := underLease(t, 360_000, d)
	a := newActor(t, f)
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, challenged), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return d.start.Load() != nil }, time.Minute, often)
	a.stop()
	d.hang.Store(false)
	e = a.start(nil)
	_, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	require.True(t, f.theLease().began)
}

func TestARunningJobsDevicesAreChallengedBesideIt(t *testing.T) {
	d := &devices{}
	f := d.serve(newFake(t, script{price: 360_000, forever: true, device: gpu(2, "claimed")}))
	e := newActor(t, f).start(nil)
	_, err := e.ChallengeJob(t.Context(), "nothing")
	require.True(t, wire.IsCode(err, wire.Unknown), "%v", err)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { challenged(s); s.Verify.Challenge = false }), "")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events, err := e.Watch(ctx, id, 0)
	require.NoError(t, err)
	for ev := range events {
		if ev.Kind == client.Ticked {
			break
		}
	}
	v, err := e.ChallengeJob(t.Context(), id)
	require.NoError(t, err)
	require.Empty(t, v.Caught)
	require.True(t, v.Beside)
	require.NotContains(t, v.Sentence, "touched", "memory was left to the job")
	require.Zero(t, v.Touched, "its memory is the job's")
	require.Nil(t, d.kept.Load(), "nothing was measured")
	require.Equal(t, f.theLease().a.Lease.Hash(), d.start.Load().Lease)

	d.hang.Store(true)
	broke := make(chan error, 1)
	go func() {
		_, err := e.ChallengeJob(t.Context(), id)
		broke <- err
	}()
	require.Eventually(t, func() bool { return d.asked.Load() == 2 }, time.Minute, often)
	require.NoError(t, e.Cancel(t.Context(), id))
	select {
	case err := <-broke:
		require.True(t, wire.IsCode(err, wire.WrongState), "it ends with the lease: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("a challenge goes on after its lease")
	}
}
