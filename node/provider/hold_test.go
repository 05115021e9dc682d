package provider_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// patience is for what a busy machine takes long to do.
const patience = time.Minute

// heldLease is a lease whose client pays so far ahead that no slow machine
// leaves it uncovered, and holds the process back.
func (g *guest) heldLease(limit time.Duration) *visit {
	g.request.MaxMillis = uint64(limit.Milliseconds()) //nolint:gosec // positive
	q, err := g.ask()
	require.NoError(g.t, err)
	require.NoError(g.t, g.reconcile())
	a := g.acceptance(q, q.Quote.Ceiling())
	require.NoError(g.t, g.send(a))
	v := g.hold(a)
	g.put(a)
	return v
}

func (g *guest) hold(a lease.Accepted) *visit {
	s, err := run.Open(g.t.Context(), g.host, g.shop.host.ID(), run.Attach{Lease: a.Lease.Hash(), Hold: true})
	require.NoError(g.t, err)
	g.t.Cleanup(s.Close)
	return &visit{g: g, a: a, s: s}
}

func waits(e *pb.RunEvent) bool {
	return e.GetState().GetState() == string(market.Running) && e.GetState().GetDetail() != ""
}

func runs(e *pb.RunEvent) bool {
	return e.GetState().GetState() == string(market.Running) && e.GetState().GetDetail() == ""
}

func (s *shop) freeAgain() {
	require.Eventually(s.t, func() bool {
		return len(s.capacity.Free().Devices) == len(s.total.Devices) && s.stage.left() == 0
	}, patience, 10*time.Millisecond)
}

func TestAClientHoldsTheProcessBackInPaidTime(t *testing.T) {
	s := newShop(t)
	v := newGuest(t, s).onGPU().heldLease(time.Hour)
	require.NoError(t, v.next(waits))
	require.NoError(t, v.next(ticks(1)), "time runs")
	require.False(t, s.stage.only().began())
	require.Equal(t, market.NewAmount(1000), v.last.Charged, "and is paid for")

	devices, over, err := s.LeasedDevices(v.g.host.ID(), v.a.Lease.Hash())
	require.NoError(t, err)
	require.Len(t, devices, 1, "meanwhile the client may challenge them")
	_, _, err = s.LeasedDevices("a thief", v.a.Lease.Hash())
	require.True(t, wire.IsCode(err, wire.Unknown), "%v", err)

	require.NoError(t, v.s.Begin())
	require.NoError(t, v.next(runs))
	job := s.process(v.a)
	job.say("hello")
	require.NoError(t, v.next(logged(v, "hello")))
	waited := v.last.Units
	job.exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.Succeeded, v.last.Outcome)
	require.GreaterOrEqual(t, v.last.Units, waited+uint64(job.Result().Ran.Milliseconds())) //nolint:gosec // positive
	select {
	case <-over:
	case <-time.After(patience):
		t.Fatal("who challenges the devices isn't told that the lease has ended")
	}
	s.freeAgain()
}

func TestALeaseThatIsOnlyPreparedHasNoDevicesToChallenge(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s).onGPU()
	a := g.lease() // nobody attaches
	_, _, err := s.LeasedDevices(g.host.ID(), a.Lease.Hash())
	require.True(t, wire.IsCode(err, wire.WrongState), "its time doesn't run: %v", err)
}

func TestAnAttachWithoutHoldLetsTheProcessBegin(t *testing.T) {
	s := newShop(t)
	v := newGuest(t, s).heldLease(time.Hour)
	require.NoError(t, v.next(waits))
	again := v.g.attach(v.a, 0)
	require.NoError(t, again.next(runs))
	s.process(v.a).exit(executor.Exited, 0)
	require.NoError(t, again.next(isDone))
	require.Equal(t, market.Succeeded, again.last.Outcome)
}

func TestALeaseThatIsCancelledInItsWaitNeverRan(t *testing.T) {
	s := newShop(t)
	v := newGuest(t, s).onGPU().heldLease(time.Hour)
	require.NoError(t, v.next(ticks(1)))
	x := s.stage.only()
	require.NoError(t, v.s.Cancel())
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.Cancelled, v.last.Outcome)
	require.GreaterOrEqual(t, v.last.Units, uint64(1000))
	require.False(t, x.began())
	s.freeAgain()
}

func TestTheWaitComesOffTheLeasedTime(t *testing.T) {
	s := newShop(t)
	for name, begin := range map[string]bool{"a wait without end": false, "a process after a wait": true} {
		v := newGuest(t, s).heldLease(2 * time.Second)
		require.NoError(t, v.next(ticks(1)), name)
		if begin {
			require.NoError(t, v.s.Begin())
		}
		require.NoError(t, v.next(isDone), name)
		require.Equal(t, market.JobFailed, v.last.Outcome, "%s: a leased limit was hit", name)
		require.EqualValues(t, 2000, v.last.Units, name)
		s.freeAgain()
	}
}

func TestWhatAProcessWaitedForIsCountedAfterARestart(t *testing.T) {
	s := newShop(t)
	v := newGuest(t, s).heldLease(time.Hour)
	require.NoError(t, v.next(ticks(2)))
	require.NoError(t, v.s.Begin())
	require.NoError(t, v.next(runs))
	job := s.process(v.a)
	s.restart()
	job.exit(executor.Exited, 0)
	v = v.again()
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.Succeeded, v.last.Outcome)
	require.GreaterOrEqual(t, v.last.Units, 2000+uint64(job.Result().Ran.Milliseconds())) //nolint:gosec // positive
}

func TestARestartInTheWaitIsTheProvidersFault(t *testing.T) {
	s := newShop(t)
	v := newGuest(t, s).heldLease(time.Hour)
	require.NoError(t, v.next(ticks(1)))
	s.restart()
	v = v.again()
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.ProviderFailed, v.last.Outcome)
	require.Equal(t, market.NewAmount(1000), v.last.Charged, "what was signed, and no more")
	s.freeAgain()
}
