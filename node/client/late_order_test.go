package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/protocol/market"
)

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
