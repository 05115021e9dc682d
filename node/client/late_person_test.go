package client_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// inDispute has a lease lost of which more is demanded than vouchers cover.
func inDispute(t *testing.T) (a *actor, f *fake, lost client.ExecutionInfo, d client.DisputeInfo) {
	t.Helper()
	f = newFake(t, lateScript())
	a = newActor(t, f)
	lost = loses(t, a, f, false).Executions[0]
	f.appear()
	id, err := a.engine.Submit(t.Context(), spec(t, nil), "")
	require.NoError(t, err)
	_, last := finished(t, a.engine, id)
	require.Equal(t, string(client.Disputed), last.Code, last.Text)
	return a, f, lost, a.onlyDispute()
}

func (a *actor) onlyDispute() client.DisputeInfo {
	a.t.Helper()
	all, err := a.engine.Disputes(a.t.Context())
	require.NoError(a.t, err)
	require.Len(a.t, all, 1)
	return all[0]
}

func (a *actor) pays(d client.DisputeInfo) error {
	a.t.Helper()
	h, err := market.ParseHash(d.Lease)
	require.NoError(a.t, err)
	return a.engine.PayDisputed(a.t.Context(), h, d.Owed)
}

// demandAnew signs another last receipt of its first lease, for so much more time, or less.
func (f *fake) demandAnew(by time.Duration) {
	l := f.first()
	f.mu.Lock()
	r, err := market.DecodeReceipt(l.receipts[1].GetReceipt())
	l.receipts, l.started = l.receipts[:1], time.Now().Add(-by-time.Duration(r.Units)*time.Millisecond) //nolint:gosec // seconds
	f.mu.Unlock()
	require.NoError(f.t, err)
	f.endAlone()
}

// What a person agrees to is added to what was countersigned, not to what was
// prepaid; and what is demanded beyond it they can see, and pay.
func TestAPersonPaysNoneOfWhatIsDemandedBeyondTheirWord(t *testing.T) {
	a, f, lost, d := inDispute(t)
	before, _ := leaseOf(t, a, lost)
	f.demandAnew(100 * time.Millisecond)
	require.True(t, before.Countersigned.Charged.Add(market.NewAmount(5000)).Less(before.Paid), "the test is broken")

	err := a.pays(d)
	require.True(t, wire.IsCode(err, client.Disputed), "%v", err)
	after, _ := leaseOf(t, a, lost)
	require.Equal(t, before.Countersigned, after.Countersigned)
	more := a.onlyDispute()
	require.True(t, d.Owed.Less(more.Owed), "%s, before %s", more.Owed, d.Owed)
	require.Contains(t, more.Why, "that were agreed to")
	require.NoError(t, a.pays(more))
	requirePaidLate(t, a, f, lost)
}

func TestAPersonCannotPayAProviderThatCheatedOnTheLease(t *testing.T) {
	a, _, lost, d := inDispute(t)
	before, _ := leaseOf(t, a, lost)
	require.NoError(t, a.book.Update(t.Context(), func(tx *ledger.Tx) error {
		raw, err := json.Marshal(client.Evidence{Lease: before.Hash, Peer: before.Peer, Code: string(market.FaultEquivocation)})
		return errors.Join(err, tx.PutMeta("client/evidence/"+before.Hash.Hex(), raw))
	}))
	err := a.pays(d)
	require.True(t, wire.IsCode(err, client.Cheated), "%v", err)
	after, _ := leaseOf(t, a, lost)
	require.Equal(t, before, after)
}

// A payment that broke off after it was put down is one; the provider hears of it
// before the next lease.
func TestACountersignatureOfAPersonIsRepeatedIfItGotLost(t *testing.T) {
	a, f, lost, d := inDispute(t)
	f.loseLast(true)
	require.NoError(t, a.pays(d))
	after, _ := leaseOf(t, a, lost)
	f.mu.Lock()
	require.Empty(t, f.leases[after.Hash].counter[after.Newest.Seq], "the script is broken")
	f.mu.Unlock()
	f.loseLast(false)
	runOne(t, a.engine)
	requirePaidLate(t, a, f, lost)
}

// loseLast has the countersignature on the first lease's last receipt get lost, and
// the conversation break off.
func (f *fake) loseLast(lose bool) {
	l := f.first()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script.deafToLast, f.script.hangUp, l.attaches = lose, lose, 0
}

// The provider is asked first what it holds, and what the node then pays by
// itself is paid as the person wished.
func TestWhatIsSettledWhenAPersonPaysItIsPaid(t *testing.T) {
	a, f, lost, d := inDispute(t)
	before, _ := leaseOf(t, a, lost)
	f.demandAnew(-3 * time.Second) // without what this node's clock speaks against
	a.enrich(before, market.NewAmount(100_000_000))
	a.stop()
	a.start(nil)
	require.NoError(t, a.pays(d))
	requirePaidLate(t, a, f, lost)
}
