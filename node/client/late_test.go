package client_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// 10,000 a tick of a second.
const latePrice = 36_000_000

// loses runs a job whose only provider falls silent after one receipt. early
// has the provider sign the last one before the client gives up, so that what
// was prepaid covers it.
func loses(t *testing.T, a *actor, f *fake, early bool) client.JobInfo {
	t.Helper()
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Retries = 0 }), "")
	require.NoError(t, err)
	if early {
		require.Eventually(t, func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.hidden
		}, time.Minute, often)
		f.endAlone()
	}
	_, last := finished(t, e, id)
	require.Equal(t, string(client.Lost), last.Code, last.Text)
	if !early {
		f.charge(3 * time.Second) // beyond what was prepaid, whatever the machine's speed
		f.endAlone()
		f.charge(0)
	}
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	return info
}

func lateScript() script {
	return script{price: latePrice, ticks: 2, hideAfter: 1, strict: true}
}

func leaseOf(t *testing.T, a *actor, x client.ExecutionInfo) (l ledger.Lease, ch ledger.Channel) {
	t.Helper()
	h, err := market.ParseHash(x.Lease)
	require.NoError(t, err)
	require.NoError(t, a.book.View(t.Context(), func(tx *ledger.Tx) (err error) {
		if l, err = tx.Lease(ledger.Client, h); err == nil {
			ch, err = tx.Channel(ledger.Client, l.Channel)
		}
		return err
	}))
	return l, ch
}

func requirePaidLate(t *testing.T, a *actor, f *fake, x client.ExecutionInfo) {
	t.Helper()
	l, ch := leaseOf(t, a, x)
	require.Equal(t, l.Newest, l.Countersigned)
	require.NotEqual(t, market.NotEnded, l.Outcome)
	require.Equal(t, l.Countersigned.Charged, l.Paid, "nothing is prepaid for it any more")
	require.Equal(t, ch.Signed, ch.Due)
	f.mu.Lock()
	require.False(t, f.fell)
	f.mu.Unlock()
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.leases[l.Hash].counter[l.Newest.Seq] != nil
	}, time.Minute, often, "the provider has the countersignature")
}

// What the voucher covers is paid by itself when the provider is back, also
// after a restart of the client.
func TestALeaseThatWasLostInASilenceIsPaidLate(t *testing.T) {
	for name, restart := range map[string]bool{"in one life": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, lateScript())
			a := newActor(t, f)
			lost := loses(t, a, f, true)
			l, _ := leaseOf(t, a, lost.Executions[0])
			require.NotEqual(t, market.NotEnded.String(), lost.Executions[0].Outcome)
			require.Equal(t, uint32(1), l.Countersigned.Seq)
			f.appear()
			if restart {
				a.stop()
				a.start(nil)
			}
			runOne(t, a.engine)
			requirePaidLate(t, a, f, lost.Executions[0])
			disputes, err := a.engine.Disputes(t.Context())
			require.NoError(t, err)
			require.Empty(t, disputes)
			again, err := a.engine.Job(t.Context(), lost.ID)
			require.NoError(t, err)
			require.Equal(t, again.Executions[0].Countersigned, again.Spent)
		})
	}
}

// Nobody waits any more for what still runs of it, so it is cancelled first.
func TestWhatStillRunsOfALostLeaseIsCancelled(t *testing.T) {
	f := newFake(t, script{forever: true, hideAfter: 1}) // for nothing, so that it is paid whatever it ran
	a := newActor(t, f)
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Retries = 0 }), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, string(client.Lost), last.Code, last.Text)
	lost, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	f.appear()
	id, err = e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		l, _ := leaseOf(t, a, lost.Executions[0])
		return l.Outcome == market.Cancelled
	}, time.Minute, often)
	requirePaidLate(t, a, f, lost.Executions[0])
	require.NoError(t, e.Cancel(t.Context(), id))
	finished(t, e, id)
}

// More than that is a person's to decide: the search says so, others are taken
// in its place, and a word pays it.
func TestMoreThanVouchersCoverIsAPersonsToPay(t *testing.T) {
	f := newFake(t, lateScript())
	a := newActor(t, f)
	lost := loses(t, a, f, false)
	f.appear()
	e := a.engine

	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, string(client.Disputed), last.Code, last.Text)
	short := lost.Executions[0].Lease[:10]
	require.Contains(t, last.Text, "is owed for lease "+short)
	require.Contains(t, last.Text, "souk receipts pay "+short)

	disputes, err := e.Disputes(t.Context())
	require.NoError(t, err)
	require.Len(t, disputes, 1)
	d := disputes[0]
	require.True(t, d.Obstacle)
	require.Equal(t, lost.Executions[0].Lease, d.Lease)
	plan, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	require.Equal(t, string(client.Disputed), plan.Code)
	require.Contains(t, plan.Summary, "souk receipts leave "+short)

	other := newFake(t, script{price: 10 * latePrice, ticks: 1})
	a.finder.peers = append(a.finder.peers, other.info())
	require.Equal(t, other.host.ID().String(), runOne(t, e).Executions[0].Peer, "another one is taken")

	h, err := market.ParseHash(d.Lease)
	require.NoError(t, err)
	err = e.PayDisputed(t.Context(), h, d.Owed.Sub(market.NewAmount(1)))
	require.True(t, wire.IsCode(err, wire.BadRequest), "%v", err)
	require.NoError(t, e.LeaveDisputed(t.Context(), h))
	plan, err = e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	i := slices.IndexFunc(plan.Candidates, func(c client.Candidate) bool { return c.Peer == f.host.ID().String() })
	require.Contains(t, plan.Candidates[i].WhyNot, "which you left unpaid")

	require.NoError(t, e.PayDisputed(t.Context(), h, d.Owed))
	requirePaidLate(t, a, f, lost.Executions[0])
	require.Equal(t, f.host.ID().String(), runOne(t, e).Executions[0].Peer)
	err = e.PayDisputed(t.Context(), h, d.Owed)
	require.True(t, wire.IsCode(err, wire.WrongState), "nothing is paid twice: %v", err)
}

// The remedy for outputs that don't come is not to countersign, so that is
// never done without a word.
func TestWithheldOutputsAreNeverPaidLate(t *testing.T) {
	for name, sly := range map[string]bool{"shown": false, "shown as one that only lacks a countersignature": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withheldIsNotPaid(t, newFake(t, script{price: latePrice, ticks: 1, withhold: true, output: "x", sly: sly}))
		})
	}
}

// Nor is it where the provider was silent instead: its last receipt is here, and
// was not countersigned because its outputs weren't.
func TestOutputsWithheldInSilenceAreNotPaidLate(t *testing.T) {
	f := newFake(t, script{price: latePrice, ticks: 1, output: "x", stall: true})
	a := newActor(t, f)
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Retries = 0 }), "")
	require.NoError(t, err)
	var info client.JobInfo
	require.Eventually(t, func() bool {
		info, err = e.Job(t.Context(), id)
		return err == nil && len(info.Executions) == 1 && info.Executions[0].State == string(market.Finishing)
	}, waitFor, often)
	f.hide()
	a.stop() // breaks the conversation off, and with it the fetching
	e = a.start(nil)
	_, last := finished(t, e, id)
	require.Equal(t, string(client.Lost), last.Code, last.Text)
	before, _ := leaseOf(t, a, info.Executions[0])
	f.appear()
	_, err = e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // it is asked what came of the first lease before it gives a second
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.leases) == 2
	}, 3*waitFor, often)
	after, _ := leaseOf(t, a, info.Executions[0])
	require.Equal(t, before.Countersigned, after.Countersigned)
}

// Nor is a lease whose devices didn't stand their challenge.
func TestAnUnprovenLeaseIsNotPaidLate(t *testing.T) {
	s := lateScript()
	s.strict = false
	f := newFake(t, s)
	a := newActor(t, f)
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Retries = 0 }), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.hidden
	}, waitFor, often)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	lost, _ := leaseOf(t, a, info.Executions[0])
	require.NoError(t, a.book.Update(t.Context(), func(tx *ledger.Tx) error {
		l, err := tx.Lease(ledger.Client, lost.Hash)
		if err != nil {
			return err
		}
		l.Unproven = true
		return tx.PutLease(l)
	}))
	f.endAlone()
	finished(t, e, id)
	f.appear()
	_, err = e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.leases) == 2
	}, 3*waitFor, often)
	after, _ := leaseOf(t, a, info.Executions[0])
	require.Equal(t, uint32(1), after.Countersigned.Seq)
}

func withheldIsNotPaid(t *testing.T, f *fake) {
	t.Helper()
	a := newActor(t, f)
	e := a.start(nil)
	var first client.JobInfo
	for range 2 {
		id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Retries = 0 }), "")
		require.NoError(t, err)
		_, last := finished(t, e, id)
		require.Equal(t, string(client.ProviderFailed), last.Code, last.Text)
		if first.ID == "" {
			first, err = e.Job(t.Context(), id)
			require.NoError(t, err)
		}
	}
	l, _ := leaseOf(t, a, first.Executions[0])
	require.Less(t, l.Countersigned.Seq, l.Newest.Seq)
	disputes, err := e.Disputes(t.Context())
	require.NoError(t, err)
	require.Len(t, disputes, 1)
	require.Equal(t, first.Executions[0].Lease, disputes[0].Lease)
	require.Contains(t, disputes[0].Why, "outputs that it doesn't give")
	require.False(t, disputes[0].Obstacle, "what was prepaid covers it")
}

// A last countersignature that got lost on its way is repeated before the next
// lease, or the provider would take it for disputed.
func TestALostLastCountersignatureIsRepeated(t *testing.T) {
	f := newFake(t, script{price: latePrice, ticks: 1, deafToLast: true, strict: true})
	a := newActor(t, f)
	first := runOne(t, a.start(nil))
	l, _ := leaseOf(t, a, first.Executions[0])
	f.mu.Lock()
	require.Empty(t, f.leases[l.Hash].counter[l.Newest.Seq], "the script is broken")
	f.mu.Unlock()
	f.mu.Lock()
	f.script.deafToLast = false
	f.mu.Unlock()
	runOne(t, a.engine)
	requirePaidLate(t, a, f, first.Executions[0])
}

// enrich makes the book say that so much more was countersigned on a lease's
// channel than was, so that the twentieth of it is worth something.
func (a *actor) enrich(l ledger.Lease, by market.Amount) {
	a.t.Helper()
	require.NoError(a.t, a.book.Update(a.t.Context(), func(tx *ledger.Tx) error {
		ch, err := tx.Channel(ledger.Client, l.Channel)
		if err != nil {
			return err
		}
		ch.Due, ch.Signed, ch.Ended, ch.Voucher = ch.Due.Add(by), ch.Signed.Add(by), ch.Ended.Add(by), ch.Voucher.Add(by)
		return tx.PutChannel(ch)
	}))
}

// What is paid late by itself leaves the lease that took the lost one's place
// all that it may cost within limits.total.
func TestALatePaymentLeavesTheJobWithinItsTotal(t *testing.T) {
	s := lateScript()
	s.strict = false
	f, other := newFake(t, s), newFake(t, script{price: 10 * latePrice, idle: true})
	a := newActor(t, f, other)
	a.times.Lost = 4 * time.Second // in which 40,000 are charged, and 10,000 are prepaid
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Total = market.NewAmount(60*100_000 + 30_000) }), "")
	require.NoError(t, err)
	var info client.JobInfo
	require.Eventually(t, func() bool {
		info, err = e.Job(t.Context(), id)
		return err == nil && len(info.Executions) == 2 && info.Executions[1].State == string(market.Running)
	}, 3*waitFor, often)
	require.Equal(t, other.host.ID().String(), info.Executions[1].Peer)
	before, _ := leaseOf(t, a, info.Executions[0])
	f.endAlone()
	f.appear()
	a.enrich(before, market.NewAmount(100_000_000))

	_, err = e.Submit(t.Context(), spec(t, nil), "") // asks the provider first what came of the lost lease
	require.NoError(t, err)
	var after ledger.Lease
	var disputes []client.DisputeInfo
	require.Eventually(t, func() bool {
		after, _ = leaseOf(t, a, info.Executions[0])
		disputes, err = e.Disputes(t.Context())
		return err == nil && len(disputes) > 0 || after.Paid != before.Paid
	}, 3*waitFor, often)
	require.Equal(t, before.Paid, after.Paid)
	require.Contains(t, disputes[0].Why, "limits.total")
}

// What a person agrees to is a charge: what the node pays by itself meanwhile
// comes off it.
func TestAPersonPaysNoMoreThanTheyAgreedTo(t *testing.T) {
	f := newFake(t, lateScript())
	a := newActor(t, f)
	e := a.start(nil)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Retries = 0 }), "")
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, string(client.Lost), last.Code, last.Text)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	f.tickAlone()
	f.charge(time.Second) // for the last one, within what was agreed to if that were counted twice
	f.appear()
	id, err = e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	finished(t, e, id)
	disputes, err := e.Disputes(t.Context())
	require.NoError(t, err)
	require.Len(t, disputes, 1)
	owed := disputes[0].Owed

	// From here on the node pays that receipt by itself, and not the next one.
	lost, ch := leaseOf(t, a, info.Executions[0])
	agreed := lost.Countersigned.Charged.Add(owed)
	a.enrich(lost, agreed.Sub(lost.Paid).Times(20).Sub(ch.Due))
	a.stop()
	e = a.start(nil)
	_ = e.PayDisputed(t.Context(), lost.Hash, owed) // the provider demands more by then
	paid, _ := leaseOf(t, a, info.Executions[0])
	require.Equal(t, agreed, paid.Countersigned.Charged)
}
