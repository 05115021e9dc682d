package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/protocol/market"
)

// Of three lost leases the first costs more than was prepaid for it, and the others
// nothing: what they give back covers it, though it is looked at before them.
func TestWhatALostLeaseGivesBackCoversAnother(t *testing.T) {
	f := newFake(t, script{price: latePrice, idle: true, strict: true})
	a := newActor(t, f)
	e := a.start(nil)
	var jobs []string
	for range 3 {
		id := once(t, e)
		requireRunning(t, e, id)
		jobs = append(jobs, id)
	}
	f.hide()
	a.stop() // breaks the conversations off
	e = a.start(nil)
	var lost []client.ExecutionInfo
	for _, id := range jobs {
		lost = append(lost, requireLost(t, e, id).Executions...)
	}
	first := f.leaseOf(t, lost[0])
	f.mu.Lock()
	first.started = time.Now().Add(-1100 * time.Millisecond) // more than a tick
	f.script.idle = false
	f.mu.Unlock()
	f.last(first)
	for _, x := range lost[1:] {
		f.receipt(f.leaseOf(t, x), 1, market.ProviderFailed, &market.Body{Cause: "failed"})
	}
	dear, ch := leaseOf(t, a, lost[0])
	r, err := market.DecodeReceipt(first.receipts[0].GetReceipt())
	require.NoError(t, err)
	require.True(t, dear.Paid.Less(r.Charged) && !ch.Voucher.Less(r.Charged), "the test is broken")

	f.appear()
	runOne(t, e)
	for _, x := range lost {
		requirePaidLate(t, a, f, x)
	}
}

func requireRunning(t *testing.T, e *client.Engine, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		info, err := e.Job(t.Context(), id)
		return err == nil && len(info.Executions) == 1 && info.Executions[0].State == string(market.Running)
	}, waitFor, often)
}

func (f *fake) leaseOf(t *testing.T, x client.ExecutionInfo) *fakeLease {
	t.Helper()
	h, err := market.ParseHash(x.Lease)
	require.NoError(t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leases[h]
}
