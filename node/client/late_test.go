package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
)

// 10,000 a tick of a second.
const latePrice = 36_000_000

// once submits a job that is tried on one provider alone.
func once(t *testing.T, e *client.Engine) string {
	t.Helper()
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.Retries = 0 }), "")
	require.NoError(t, err)
	return id
}

// requireLost waits for the end of a job whose only lease is lost.
func requireLost(t *testing.T, e *client.Engine, id string) client.JobInfo {
	t.Helper()
	_, last := finished(t, e, id)
	require.Equal(t, string(client.Lost), last.Code, last.Text)
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	return info
}

// loses runs a job whose only provider falls silent after one receipt. early
// has the provider sign the last one before the client gives up, so that what
// was prepaid covers it.
func loses(t *testing.T, a *actor, f *fake, early bool) client.JobInfo {
	t.Helper()
	e := a.start(nil)
	id := once(t, e)
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
			s := lateScript()
			s.hurriedLate = 2 // it asks again
			f := newFake(t, s)
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
	lost := requireLost(t, e, once(t, e))
	f.appear()
	id, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		l, _ := leaseOf(t, a, lost.Executions[0])
		return l.Outcome == market.Cancelled
	}, time.Minute, often)
	requirePaidLate(t, a, f, lost.Executions[0])
	l, _ := leaseOf(t, a, lost.Executions[0])
	f.mu.Lock()
	require.True(t, f.leases[l.Hash].hold, "it isn't started meanwhile, if it wasn't yet")
	f.mu.Unlock()
	require.NoError(t, e.Cancel(t.Context(), id))
	finished(t, e, id)
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
