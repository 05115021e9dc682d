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
	info := requireLost(t, e, once(t, e))
	f.tickAlone()
	f.charge(time.Second) // for the last one, within what was agreed to if that were counted twice
	f.appear()
	id, err := e.Submit(t.Context(), spec(t, nil), "")
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
