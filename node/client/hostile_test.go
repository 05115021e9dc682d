package client_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/receiptfile"
	"souk/protocol/wire"
)

// Each provider below is the cheapest, so the client tries it first; the
// honest one is dearer and brings the job to its end.
func TestWhatAProviderCanDoWrong(t *testing.T) {
	cases := []struct {
		name    string
		script  script
		outcome string // of its execution; empty: there is none
		cheated market.FaultCode
		paid    bool // something was countersigned
	}{
		{name: "charges more time than has passed", script: script{ticks: 3, overCharge: true, output: "x"}, outcome: "cheated", cheated: market.FaultOverTime},
		{name: "signs two receipts with one number", script: script{ticks: 3, equivocate: true, output: "x"}, outcome: "cheated", cheated: market.FaultEquivocation, paid: true},
		{name: "names outputs and doesn't give them", script: script{ticks: 2, withhold: true, output: "x"}, outcome: "provider_failed", paid: true},
		{name: "vanishes half-way", script: script{ticks: 5, dieAfter: 2, output: "x"}, outcome: "lost", paid: true},
		{name: "answers every attach with later", script: script{silent: true}, outcome: "lost"},
		{name: "takes no inputs", script: script{closed: true, forever: true}, outcome: "lost"},
		{name: "quotes and then refuses", script: script{refuseAccept: wire.Taken}},
		{name: "won't say what it holds of the channel", script: script{unreconciled: wire.Refuse(wire.ChannelInUse, "a twin")}},
		{name: "fails", script: script{ticks: 1, exitFails: true}, outcome: "provider_failed", paid: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.script.price, c.script.speed = 360_000, 100
			bad := newFake(t, c.script)
			good := newFake(t, script{price: 3_600_000, speed: 100, ticks: 2, output: "42"})
			a := newActor(t, bad, good)
			e := a.start(nil)
			id, err := e.Submit(t.Context(), spec(t, nil), "")
			require.NoError(t, err)
			events, last := finished(t, e, id)
			require.Equal(t, "job", last.Source, last.Text)
			require.Equal(t, 0, *last.Exit)

			info, err := e.Job(t.Context(), id)
			require.NoError(t, err)
			if c.outcome == "" {
				require.Len(t, info.Executions, 1)
				return
			}
			require.Len(t, info.Executions, 2)
			first := info.Executions[0]
			require.Equal(t, bad.host.ID().String(), first.Peer)
			require.Equal(t, c.outcome, first.Outcome, first.Text)
			require.Equal(t, c.paid, !first.Countersigned.IsZero())
			require.Equal(t, info.Executions[1].Vouchered.Add(first.Vouchered), *last.Spent)
			requireCheated(t, a, bad, first, c.cheated)
			requireNoMoreVouchers(t, bad, first)
			require.Contains(t, logOf(events), fakeLog)
			requireLogsApart(t, a, info.ID)
		})
	}
}

// requireLogsApart sees that a job that is told again has each execution's
// log behind the news of that execution and before that of the next.
func requireLogsApart(t *testing.T, a *actor, id string) {
	t.Helper()
	ch, err := a.engine.Watch(t.Context(), id, 0)
	require.NoError(t, err)
	execution := 0
	for ev := range ch {
		switch ev.Kind {
		case client.Leased:
			execution = ev.Attempt
		case client.LogData:
			require.Equal(t, execution, ev.Attempt)
		}
	}
	require.NotZero(t, execution)
}

func requireCheated(t *testing.T, a *actor, bad *fake, x client.ExecutionInfo, want market.FaultCode) {
	t.Helper()
	require.NoError(t, a.book.View(t.Context(), func(tx *ledger.Tx) error {
		p, err := tx.Peer(bad.host.ID().String())
		require.NoError(t, err)
		require.Equal(t, want != "", p.Cheated > 0, p.LastFault)
		return nil
	}))
	h, err := market.ParseHash(x.Lease)
	require.NoError(t, err)
	ev, err := a.engine.Evidence(t.Context(), h)
	if want == "" {
		require.ErrorIs(t, err, ledger.ErrNotFound)
		return
	}
	require.NoError(t, err)
	require.NotEmpty(t, ev.Receipts, "the signed receipts are kept")
	require.NotEmpty(t, ev.Sentence)
	require.Equal(t, string(want), ev.Code)
	if want == market.FaultEquivocation {
		require.True(t, market.Equivocation(bad.chain, signed(t, ev.Receipts[0]), signed(t, ev.Receipts[1]), bad.signer.Address()))
		requireProven(t, a, bad, h, ev.Receipts[1].Seq)
	}
}

// requireProven sees that a file of the lease shows anybody that the provider
// signed two receipts with one number.
func requireProven(t *testing.T, a *actor, bad *fake, lease market.Hash, seq uint32) {
	t.Helper()
	var file bytes.Buffer
	require.NoError(t, a.book.View(t.Context(), func(tx *ledger.Tx) error {
		l, err := tx.Lease(ledger.Client, lease)
		require.NoError(t, err)
		b, err := tx.Bundle(l, network)
		require.NoError(t, err)
		b, err = client.AddEvidence(tx, b, lease)
		require.NoError(t, err)
		return receiptfile.Write(&file, b)
	}))
	b, err := receiptfile.Read(&file)
	require.NoError(t, err)
	s, err := b.Verify()
	var f *market.Fault
	require.ErrorAs(t, err, &f)
	require.Equal(t, market.FaultEquivocation, f.Code, f.Sentence)
	require.Equal(t, seq, f.Seq)
	require.Equal(t, bad.signer.Address(), s.Provider)
	require.Contains(t, f.Sentence, s.Provider.String())
}

func signed(t *testing.T, r ledger.Receipt) market.SignedReceipt {
	t.Helper()
	sig, err := market.SignatureFrom(r.ProviderSignature)
	require.NoError(t, err)
	return market.SignedReceipt{Block: r.Block, Provider: sig, Body: r.Body}
}

// requireNoMoreVouchers sees that the provider got what was countersigned and one tick, at most.
func requireNoMoreVouchers(t *testing.T, bad *fake, x client.ExecutionInfo) {
	t.Helper()
	bad.mu.Lock()
	defer bad.mu.Unlock()
	require.False(t, bad.fell)
	tick := market.TickPrice(bad.perHour(), 1000)
	require.False(t, x.Countersigned.Add(tick).Less(bad.highest), "it holds %s, %s was countersigned", bad.highest, x.Countersigned)
}

func TestACheaterIsNeverChosenAgain(t *testing.T) {
	bad := newFake(t, script{price: 360_000, speed: 100, ticks: 3, overCharge: true})
	a := newActor(t, bad)
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, "souk", last.Source)
	require.Equal(t, client.ExitSouk, *last.Exit)
	require.Equal(t, string(client.Cheated), last.Code, last.Text)

	plan, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	require.Equal(t, string(client.NoProvider), plan.Code)
	require.Contains(t, plan.Candidates[0].WhyNot, "cheated")
}

func TestAJobThatFailedIsNotRunAgain(t *testing.T) {
	f := newFake(t, script{price: 360_000, ticks: 1, exit: 7, output: "half"})
	other := newFake(t, script{price: 3_600_000, ticks: 1})
	e := newActor(t, f, other).start(nil)
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, "job", last.Source)
	require.Equal(t, 7, *last.Exit)
	require.NotEmpty(t, last.Outputs)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, info.Executions, 1)
}

func TestAcceptsAndAnswersGetLost(t *testing.T) {
	for name, s := range map[string]script{
		"one answer":                       {loseAnswers: 1},
		"all answers":                      {loseAnswers: 1000},
		"one accept":                       {loseAccepts: 1},
		"many accepts":                     {loseAccepts: 6}, // three tries of two questions each
		"no accept, but some are too fast": {hurried: 2},
		"no accept, but the credit of one was used up": {hurried: 1, hurry: wire.Credit},
		"no request, but some are too fast":            {hurriedQuotes: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.price, s.ticks, s.output = 360_000, 1, "42"
			f := newFake(t, s)
			e := newActor(t, f).start(nil)
			id, err := e.Submit(t.Context(), spec(t, nil), "")
			require.NoError(t, err)
			_, last := finished(t, e, id)
			if name == "many accepts" {
				// The quote was voided by asking, and nobody else is there.
				require.Equal(t, "souk", last.Source)
				require.True(t, last.Spent.IsZero(), "nothing was leased: %s", last.Spent)
				return
			}
			require.Equal(t, "job", last.Source, last.Text)
			info, err := e.Job(t.Context(), id)
			require.NoError(t, err)
			require.Len(t, info.Executions, 1)
		})
	}
}

// Nobody pauses, nor searches, for a quote that the provider gives anew.
func TestAnOutdatedQuoteIsAskedForAnewAtOnce(t *testing.T) {
	for _, code := range []wire.Code{wire.Credit, wire.Expired} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			f := newFake(t, script{price: 360_000, ticks: 1, hurried: 3, hurry: code})
			a := newActor(t, f)
			a.times.Busy = time.Hour
			e := a.start(nil)
			id, err := e.Submit(t.Context(), spec(t, nil), "")
			require.NoError(t, err)
			_, last := finished(t, e, id)
			require.Equal(t, "job", last.Source, last.Text)
			f.mu.Lock()
			defer f.mu.Unlock()
			require.Equal(t, 4, f.quoted)
		})
	}
}

func TestCancelStopsAndStillBringsTheOutputs(t *testing.T) {
	f := newFake(t, script{price: 360_000, forever: true, output: "partial"})
	a := newActor(t, f)
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	ch, err := e.Watch(t.Context(), id, 0)
	require.NoError(t, err)
	var last client.Event
	for ev := range ch {
		if ev.Kind == client.Ticked && ev.Seq == 2 {
			require.NoError(t, e.Cancel(t.Context(), id))
		}
		last = ev
	}
	require.Equal(t, client.Finished, last.Kind)
	require.Equal(t, string(client.Cancelled), last.Code)
	require.Equal(t, client.ExitCancelled, *last.Exit)
	require.NotEmpty(t, last.Outputs)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "cancelled", info.Executions[0].Outcome)
	require.Equal(t, info.Executions[0].Charged, info.Executions[0].Countersigned)
}

func TestCancelOfASilentProviderPaysNothingMore(t *testing.T) {
	f := newFake(t, script{price: 360_000, ticks: 100, dieAfter: 1})
	a := newActor(t, f)
	a.times.Lost = 500 * time.Millisecond
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	require.NoError(t, e.Cancel(t.Context(), id))
	_, last := finished(t, e, id)
	require.Equal(t, string(client.Cancelled), last.Code)
}

func TestTheTotalCapsTheLease(t *testing.T) {
	f := newFake(t, script{price: 3_600_000, ticks: 1}) // 1000 a tick
	e := newActor(t, f).start(nil)
	plan, err := e.Plan(t.Context(), spec(t, func(s *jobfile.Spec) { s.Total = market.NewAmount(5_500) }))
	require.NoError(t, err)
	require.Equal(t, market.NewAmount(5_000), plan.Candidates[0].WorstCost, "5 ticks are paid for, not 60")
	require.Contains(t, plan.Candidates[0].Why, "limits.total pays for 5s of the 1m0s; 0.06 would pay for all")

	plan, err = e.Plan(t.Context(), spec(t, func(s *jobfile.Spec) { s.Total = market.NewAmount(999) }))
	require.NoError(t, err)
	require.Equal(t, string(client.OverTotal), plan.Code)
	require.Contains(t, plan.Summary, "0.06 would pay for the whole 1m0s")
}

func TestARetryStaysWithinWhatIsLeftOfTheTotal(t *testing.T) {
	bad := newFake(t, script{price: 3_600_000, speed: 1000, ticks: 5, dieAfter: 1}) // 1000 a tick
	good := newFake(t, script{price: 3_600_000, speed: 1, ticks: 1})
	e := newActor(t, bad, good).start(nil)
	total := market.NewAmount(4_000)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Total = total }), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, info.Executions, 2)
	first := info.Executions[0].Vouchered
	require.False(t, first.Less(market.NewAmount(1_000)), "the lost provider can keep its prepaid tick")
	good.mu.Lock()
	defer good.mu.Unlock()
	for _, l := range good.leases {
		require.False(t, total.Less(first.Add(l.a.Quote.Ceiling())), "%s on top of %s", l.a.Quote.Ceiling(), first)
	}
}

func TestCapsInMoneyKeepTheNodeFromSigning(t *testing.T) {
	f := newFake(t, script{price: 3_600_000, ticks: 1})
	a := newActor(t, f)
	a.caps = client.Caps{PerPeer: market.NewAmount(999), InAll: market.NewAmount(5_000)}
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, string(wire.Credit), last.Code, last.Text)
	require.True(t, f.highest.IsZero(), "a voucher was signed over the cap")
}
