package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/protocol/market"
)

// Sixteen leases whose conversation broke off each time kept every later one from
// being paid late, also after restarts: nothing was put down of them.
func TestLeasesThatBreakOffKeepNoOtherFromBeingPaidLate(t *testing.T) {
	const stuck = 16
	f := newFake(t, script{price: latePrice, idle: true})
	a := newActor(t, f)
	a.times.Redial = 5 * time.Second // as below
	lost := losesAtOnce(t, a, f, stuck+1)
	for i, x := range lost {
		l := f.endsAfter(t, x, 500*time.Millisecond)
		f.mu.Lock()
		l.deaf = i < stuck
		f.mu.Unlock()
	}
	f.appear()
	runOne(t, a.engine)
	l, _ := leaseOf(t, a, lost[stuck])
	require.Zero(t, l.Countersigned.Seq, "one exchange takes no more; the test is broken")

	a.stop()
	runOne(t, a.start(nil))
	requirePaidLate(t, a, f, lost[stuck])
	disputes, err := a.engine.Disputes(t.Context())
	require.NoError(t, err)
	require.Empty(t, disputes, "nobody has to decide on what wasn't refused")

	for _, x := range lost[:stuck] {
		l := f.leaseOf(t, x)
		f.mu.Lock()
		l.deaf = false
		f.mu.Unlock()
	}
	a.stop()
	runOne(t, a.start(nil))
	for _, x := range lost[:stuck] {
		l, _ := leaseOf(t, a, x)
		require.Equal(t, l.Newest, l.Countersigned, "what broke off is asked for again")
	}
}

// Sixteen leases that waited for a person's decision kept every later one from
// ever being caught up with: one exchange of status takes no more, the oldest first.
func TestLeasesThatAPersonHasToDecideOnKeepNoOtherFromBeingPaidLate(t *testing.T) {
	const undecided = 16
	f := newFake(t, script{price: latePrice, idle: true})
	a := newActor(t, f)
	a.times.Redial = 5 * time.Second // each asks once while nobody is there, as the provider hears only so many questions a second
	lost := losesAtOnce(t, a, f, undecided+1)
	dear, payable := lost[:undecided], lost[undecided]
	for _, x := range dear {
		f.endsAfter(t, x, 1900*time.Millisecond) // beyond what was prepaid for all of them
	}
	f.endsAfter(t, payable, 500*time.Millisecond)
	f.appear()
	id, err := a.engine.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	_, last := finished(t, a.engine, id)
	require.Equal(t, string(client.Disputed), last.Code, last.Text)
	var disputes []client.DisputeInfo
	require.Eventually(t, func() bool {
		disputes, err = a.engine.Disputes(t.Context())
		return err == nil && len(disputes) == undecided
	}, 3*waitFor, often)
	l, _ := leaseOf(t, a, payable)
	require.Zero(t, l.Countersigned.Seq, "one exchange takes no more; the test is broken")

	a.stop()
	e := a.start(nil)
	h, err := market.ParseHash(dear[0].Lease)
	require.NoError(t, err)
	require.NoError(t, e.PayDisputed(t.Context(), h, disputes[0].Owed)) // has the status exchanged
	for _, x := range []client.ExecutionInfo{dear[0], payable} {
		l, _ := leaseOf(t, a, x)
		require.Equal(t, l.Newest, l.Countersigned)
		require.Equal(t, market.Succeeded, l.Outcome)
	}
	disputes, err = e.Disputes(t.Context())
	require.NoError(t, err)
	require.Len(t, disputes, undecided-1)
}
