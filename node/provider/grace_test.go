package provider_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/provider"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// process is the execution of one lease, once it has begun.
func (s *shop) process(a lease.Accepted) (x *act) {
	require.Eventually(s.t, func() bool {
		s.stage.mu.Lock()
		x = s.stage.all[a.Lease.Hash().Hex()]
		s.stage.mu.Unlock()
		return x != nil && x.began()
	}, time.Minute, 5*time.Millisecond)
	return x
}

// pay countersigns the visit's newest receipt, with a voucher over more.
func (v *visit) pay(more market.Amount) {
	sig, err := v.g.signer.Sign(v.g.parties.Chain.Digest(v.last.Hash()))
	require.NoError(v.g.t, err)
	voucher, vsig := v.g.voucher(more)
	require.NoError(v.g.t, v.s.Countersign(v.last.Seq, sig, &pb.Voucher{Voucher: voucher.Encode(), Signature: vsig[:]}))
}

// Two leases of a channel are in their grace and its voucher lacks a tick. The
// grace of the one that is paid for ends first, and the other one stops.
func TestOfAChannelsLeasesTheOneThatIsntPaidForStops(t *testing.T) {
	const tick, apart = 2 * time.Second, 400 * time.Millisecond
	s := newShop(t, func(c *provider.Config) { c.Tick = tick })
	g := newGuest(t, s)
	paid := g.attach(g.lease(), 0)
	paid.silent.Store(true)
	job := s.process(paid.a)
	require.Eventually(t, func() bool { return job.Usage().Ran > apart }, time.Minute, 5*time.Millisecond)
	unpaid := g.attach(g.lease(), 0)
	unpaid.silent.Store(true)
	require.NoError(t, paid.next(ticks(1)))
	require.NoError(t, unpaid.next(ticks(1)))
	paid.pay(paid.last.Charged)
	paid.silent.Store(false)

	require.NoError(t, paid.next(ticks(2)), "it goes on after its grace")
	require.NoError(t, unpaid.next(isDone))
	require.Equal(t, market.Cancelled, unpaid.last.Outcome)
	require.Equal(t, "no voucher covered the next tick", s.record(unpaid.a.Lease.Hash()).Reason)
	require.Less(t, unpaid.last.Units, uint64(2*tick.Milliseconds()), "it stopped before its own grace was over")

	unpaid.pay(unpaid.last.Charged) // of which nothing was paid
	require.NoError(t, unpaid.next(settled(unpaid.last.Seq)))
	require.NoError(t, paid.next(ticks(3)))
	job.exit(executor.Exited, 0)
	require.NoError(t, paid.next(isDone))
	require.Equal(t, market.Succeeded, paid.last.Outcome)
	require.NoError(t, paid.next(settled(paid.last.Seq)))
	s.nothingHeld()
}

// A client that stops paying for all of its leases at once costs a grace on each of
// them: none gets another for a lease that was stopped.
func TestLeasesThatLoseTheirCoverTogetherHaveOneGraceEach(t *testing.T) {
	s := newShop(t, func(c *provider.Config) { c.Tick = time.Second })
	g := newGuest(t, s)
	var leases []lease.Accepted
	for range 4 { // before any of them runs, however slow this machine is
		leases = append(leases, g.lease())
	}
	var visits []*visit
	for _, a := range leases {
		v := g.attach(a, 0)
		v.silent.Store(true)
		visits = append(visits, v)
	}
	for _, v := range visits {
		require.NoError(t, v.next(isDone))
		require.Equal(t, market.Cancelled, v.last.Outcome)
		require.Equal(t, "no voucher covered the next tick", s.record(v.a.Lease.Hash()).Reason)
		require.LessOrEqual(t, v.last.Seq, uint32(2), "the receipt of the tick that was paid ahead, and the last one")
	}
}
