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
	lost := losesAtOnce(t, a, f, 3)
	first := f.endsAfter(t, lost[0], 1100*time.Millisecond) // more than a tick
	for _, x := range lost[1:] {
		f.receipt(f.leaseOf(t, x), 1, market.ProviderFailed, &market.Body{Cause: "failed"})
	}
	dear, ch := leaseOf(t, a, lost[0])
	r, err := market.DecodeReceipt(first.receipts[0].GetReceipt())
	require.NoError(t, err)
	require.True(t, dear.Paid.Less(r.Charged) && !ch.Voucher.Less(r.Charged), "the test is broken")

	f.appear()
	runOne(t, a.engine)
	for _, x := range lost {
		requirePaidLate(t, a, f, x)
	}
}

// losesAtOnce has so many jobs run on a provider, and loses all of their leases.
func losesAtOnce(t *testing.T, a *actor, f *fake, n int) (lost []client.ExecutionInfo) {
	t.Helper()
	e := a.start(nil)
	var jobs []string
	for range n {
		id := once(t, e)
		requireRunning(t, e, id)
		jobs = append(jobs, id)
	}
	f.hide()
	a.stop() // breaks the conversations off
	e = a.start(nil)
	for _, id := range jobs {
		lost = append(lost, requireLost(t, e, id).Executions...)
	}
	f.mu.Lock()
	f.script.idle = false
	f.mu.Unlock()
	return lost
}

// endsAfter signs a lease's last receipt while nobody is attached, as if it had
// run for so long.
func (f *fake) endsAfter(t *testing.T, x client.ExecutionInfo, ran time.Duration) *fakeLease {
	t.Helper()
	l := f.leaseOf(t, x)
	f.mu.Lock()
	l.started = time.Now().Add(-ran)
	f.mu.Unlock()
	f.last(l)
	return l
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
