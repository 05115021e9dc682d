package client_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/ledger"
	"souk/protocol/market"
)

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

func withheldIsNotPaid(t *testing.T, f *fake) {
	t.Helper()
	a := newActor(t, f)
	e := a.start(nil)
	var first client.JobInfo
	var err error
	for range 2 {
		id := once(t, e)
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

// Nor is it where the provider was silent instead: its last receipt is here, and
// was not countersigned because its outputs weren't.
func TestOutputsWithheldInSilenceAreNotPaidLate(t *testing.T) {
	f := newFake(t, script{price: latePrice, ticks: 1, output: "x", stall: true})
	a := newActor(t, f)
	e := a.start(nil)
	id := once(t, e)
	var info client.JobInfo
	var err error
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
	requireSecondLease(t, e, f)
	after, _ := leaseOf(t, a, info.Executions[0])
	require.Equal(t, before.Countersigned, after.Countersigned)
}

// Nor is a lease whose devices didn't stand their challenge.
func TestAnUnprovenLeaseIsNotPaidLate(t *testing.T) {
	noneIsPaidOf(t, func(tx *ledger.Tx, l ledger.Lease) error {
		l.Unproven = true
		return tx.PutLease(l)
	})
}

// Nor is one whose provider signed what can't be honest.
func TestALeaseThatItsProviderCheatedOnIsNotPaidLate(t *testing.T) {
	noneIsPaidOf(t, func(tx *ledger.Tx, l ledger.Lease) error {
		raw, err := json.Marshal(client.Evidence{Lease: l.Hash, Peer: l.Peer, Code: string(market.FaultEquivocation)})
		return errors.Join(err, tx.PutMeta("client/evidence/"+l.Hash.Hex(), raw))
	})
}

// noneIsPaidOf loses a lease of which the client notes something before.
func noneIsPaidOf(t *testing.T, note func(*ledger.Tx, ledger.Lease) error) {
	t.Helper()
	s := lateScript()
	s.strict = false
	f := newFake(t, s)
	a := newActor(t, f)
	e := a.start(nil)
	id := once(t, e)
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
		return note(tx, l)
	}))
	f.endAlone()
	finished(t, e, id)
	f.appear()
	requireSecondLease(t, e, f)
	after, _ := leaseOf(t, a, info.Executions[0])
	require.Equal(t, uint32(1), after.Countersigned.Seq)
}

// requireSecondLease takes another lease of the provider, before which it is
// asked what came of the first.
func requireSecondLease(t *testing.T, e *client.Engine, f *fake) {
	t.Helper()
	_, err := e.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.leases) == 2
	}, 3*waitFor, often)
}
