package testnet_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/control"
	"souk/node/testnet"
	"souk/protocol/market"
)

// A client was refused for ever by a provider with which it lost a lease before
// it had countersigned the last receipt, and nobody said why.
func TestALeaseLostInACrashIsPaidLate(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 2, Clients: 2, Tick: 5 * time.Second, LostAfter: 11 * time.Second})
	t.Run("by itself, as far as a voucher covers it", func(t *testing.T) {
		t.Parallel()
		w := &world{t, w.s}
		lost := w.loses("client-1", "provider-1", "4s", "RTX4090", market.Succeeded)
		start(t, w.dir("client-1"), worker("0s", "--gpu", "RTX4090")...).ends(0)
		require.Empty(t, w.disputes("client-1"))
		eventually(t, "it is paid", func() bool { return w.receipt("provider-1", lost.Lease).Countersigned == lost.Charged })
		w.owesNothing("client-1", "provider-1")
	})
	t.Run("and beyond that by a person's word", func(t *testing.T) {
		t.Parallel()
		w := &world{t, w.s}
		dir := w.dir("client-2")
		lost := w.loses("client-2", "provider-2", "60s", "RTX3090", market.Cancelled)
		refused := start(t, dir, worker("0s", "--gpu", "RTX3090")...).ends(client.ExitSouk).kind(client.Finished)
		require.Equal(t, string(client.Disputed), refused.Code, refused.Text)
		require.Contains(t, refused.Text, "is owed for lease "+lost.Lease[:10])

		disputes := w.disputes("client-2")
		require.Len(t, disputes, 1)
		require.Equal(t, lost.Lease, disputes[0].Lease)
		eventually(t, "what the voucher covers is paid", func() bool {
			stands := w.receipt("provider-2", lost.Lease)
			return stands.Charged.Sub(stands.Countersigned) == disputes[0].Owed
		})
		souk(t, dir, "receipts", "pay", lost.Lease[:10], "0.000001").ends(client.ExitSouk)
		souk(t, dir, "receipts", "pay", lost.Lease[:10], "0.50").ends(0)
		require.Empty(t, w.disputes("client-2"))
		start(t, dir, worker("0s", "--gpu", "RTX3090")...).ends(0)
		w.owesNothing("client-2", "provider-2")
	})
}

// loses kills a client while its job runs, and its provider once that has ended
// with the outcome; the client comes back, finds nobody, and gives the lease up.
// Then the provider comes back. It gives the lease as the provider has it.
func (w *world) loses(buyer, seller, span, gpu string, outcome market.Outcome) control.ReceiptInfo {
	w.t.Helper()
	run := start(w.t, w.dir(buyer), worker(span, "--gpu", gpu, "--retries", "0")...)
	run.logged("line 3\n")
	leased := run.kind(client.Leased)
	require.Equal(w.t, seller, w.node(leased.Peer).Name)
	w.kill(buyer)
	run.ends(client.ExitSouk)
	eventually(w.t, "the lease ends without its client", func() bool {
		return w.receipt(seller, leased.Lease).Outcome == outcome.String()
	})
	w.kill(seller)
	w.restart(buyer)
	id := run.kind(client.Placed).Job
	eventually(w.t, "the client gives it up", func() bool { return w.job(buyer, id).State == "done" })
	require.Equal(w.t, string(client.Lost), w.job(buyer, id).Code)
	w.restart(seller)
	r := w.receipt(seller, leased.Lease)
	require.True(w.t, r.Countersigned.Less(r.Charged), "it was countersigned already: %+v", r)
	return r
}

// owesNothing sees that both books agree, and that nothing in them is disputed.
func (w *world) owesNothing(buyer, seller string) {
	w.t.Helper()
	require.Zero(w.t, w.agree([]string{buyer}, []string{seller}).Owed)
}

// receipt is a lease's newest receipt as a node has it, the zero one if it has none.
func (w *world) receipt(name, lease string) (found control.ReceiptInfo) {
	w.t.Helper()
	for _, r := range w.receipts(name) {
		if r.Lease == lease {
			return r
		}
	}
	return found
}

func (w *world) disputes(name string) []control.DisputeInfo {
	w.t.Helper()
	return decode[control.DisputeInfo](w.t, souk(w.t, w.dir(name), "receipts", "disputed", "--json").ends(0).out.String())
}
