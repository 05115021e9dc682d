package provider_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// started waits until the one execution runs.
func (s *shop) started() *act {
	require.Eventually(s.t, func() bool { a := s.stage.only(); return a != nil && a.began() }, time.Minute, 5*time.Millisecond)
	return s.stage.only()
}

func (s *shop) record(h market.Hash) (rec ledger.Lease) {
	require.NoError(s.t, s.ledger.View(s.t.Context(), func(tx *ledger.Tx) (err error) {
		rec, err = tx.Lease(ledger.Provider, h)
		return err
	}))
	return rec
}

func TestALeaseIsRunPaidAndSettled(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	a := g.lease()
	v := g.attach(a, 0)
	job := s.started()
	job.say("hello\n")
	require.NoError(t, v.next(logged(v, "hello\n")))
	require.NoError(t, v.next(ticks(2)))
	job.say("bye\n")
	job.exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.Equal(t, "hello\nbye\n", string(v.log), "all of the log comes before the end")
	require.Equal(t, market.Succeeded, v.last.Outcome)
	require.NoError(t, v.next(settled(v.last.Seq)))

	rec := s.record(a.Lease.Hash())
	require.Equal(t, market.Closed, rec.State)
	require.Equal(t, rec.Newest, rec.Countersigned)
	require.NotEmpty(t, rec.Outputs)
	s.nothingHeld()
	require.NoError(t, s.ledger.View(t.Context(), func(tx *ledger.Tx) error {
		ch, err := tx.Channel(ledger.Provider, g.channel())
		require.Equal(t, ch.Signed, ch.Due, "all that was signed was countersigned")
		require.Equal(t, ch.Signed, v.last.Charged)
		return err
	}))
}

func TestAnAcceptThatComesAgainGetsTheSameAnswer(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	a := g.lease()
	require.NoError(t, g.send(a))
	g.job.Name = "another"
	require.True(t, wire.IsCode(g.send(g.acceptance(a.Quoted, a.Quote.TickPrice)), wire.WrongState), "one lease per quote")
	require.Equal(t, 1, s.Live())
}

func TestAVoidedQuoteCantBeAccepted(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	q, err := g.ask()
	require.NoError(t, err)
	require.NoError(t, g.reconcile())
	st, err := status.Lease(t.Context(), g.host, s.host.ID(), q.Block, q.Signature)
	require.NoError(t, err)
	require.Equal(t, status.Void, st.GetState())
	s.restart()
	require.NoError(t, g.reconcile())
	require.True(t, wire.IsCode(g.send(g.acceptance(q, q.Quote.TickPrice)), wire.Void), "also after a restart")
	s.nothingHeld()
}

func TestOfTwoStrangersTheFirstAcceptWins(t *testing.T) {
	s := newShop(t)
	first, second := newGuest(t, s), newGuest(t, s)
	first.request.CPU, second.request.CPU = 3, 3
	q, err := second.ask()
	require.NoError(t, err, "a stranger's quote holds nothing")
	require.NoError(t, second.reconcile())
	first.lease()
	require.True(t, wire.IsCode(second.send(second.acceptance(q, q.Quote.TickPrice)), wire.Taken))
	_, err = second.ask()
	require.True(t, wire.IsCode(err, wire.Busy))
}

func TestNothingIsAcceptedBeforeTheChannelsStatus(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	q, err := g.ask()
	require.NoError(t, err)
	require.True(t, wire.IsCode(g.send(g.acceptance(q, q.Quote.TickPrice)), wire.NotReconciled))
}

func TestAVoucherThatIsTooLowIsRefusedWithWhatIsMissing(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	q, err := g.ask()
	require.NoError(t, err)
	require.NoError(t, g.reconcile())
	err = g.send(g.acceptance(q, market.NewAmount(999)))
	require.True(t, wire.IsCode(err, wire.BadVoucher))
	require.ErrorContains(t, err, "a voucher of 0.001 USD")
	s.nothingHeld()
}

func TestRequestsThatCantBeMetNameTheNearestMiss(t *testing.T) {
	cases := map[string]struct {
		change func(*market.Request)
		code   wire.Code
		near   string
	}{
		"price":    {func(r *market.Request) { p := market.NewAmount(1); r.PriceLimit = &p }, wire.OverPrice, "asks 3.60/h"},
		"time":     {func(r *market.Request) { r.MaxMillis = 2 * 3600_000 }, wire.OverLimit, "at most 1h"},
		"cores":    {func(r *market.Request) { r.CPU = 5 }, wire.NoMatch, "4"},
		"gpu":      {func(r *market.Request) { r.GPU = &market.GPUNeed{Name: "H100", Count: 1}; r.AllowSimulated = true }, wire.NoMatch, "H100"},
		"real gpu": {func(r *market.Request) { r.GPU = &market.GPUNeed{Name: "any", Count: 1} }, wire.NoMatch, ""},
		"network":  {func(r *market.Request) { r.Network = "other" }, wire.WrongNetwork, "test"},
		"executor": {func(r *market.Request) { r.Executor = "docker" }, wire.NoMatch, "wasm"},
		"region":   {func(r *market.Request) { r.Region = "ap" }, wire.NoMatch, "eu"},
	}
	s := newShop(t)
	g := newGuest(t, s)
	plain := g.request
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g.request = plain
			c.change(&g.request)
			_, err := g.ask()
			require.True(t, wire.IsCode(err, c.code), "%v", err)
			require.ErrorContains(t, err, c.near)
		})
	}
	s.nothingHeld()
}

func TestAClockThatIsWrongByAnHourIsNamed(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	for _, skew := range []time.Duration{time.Hour, -time.Hour, 1 << 62} {
		g.skew = skew
		_, err := g.ask()
		require.True(t, wire.IsCode(err, wire.ClockSkew), "%s: %v", skew, err)
		require.ErrorContains(t, err, "set the clock that is wrong")
	}
	for _, skew := range []time.Duration{4 * time.Minute, -4 * time.Minute} {
		g.skew = skew
		_, err := g.ask()
		require.NoError(t, err, "%s is tolerated", skew)
	}
}

func TestWithoutCountersignatureTheJobStopsAfterOneGrace(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	a := g.lease()
	v := g.attach(a, 0)
	v.silent.Store(true)
	s.started()
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.Cancelled, v.last.Outcome)
	most := a.Quote.TickPrice.Times(3) // the paid tick, the grace, and what a slow machine adds
	require.True(t, v.last.Charged.Less(most), "charged %s", v.last.Charged)
	s.nothingHeld()
}

func TestCancelStopsAndChargesWhatRan(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	v := g.attach(g.lease(), 0)
	s.started()
	require.NoError(t, v.next(ticks(1)))
	require.NoError(t, v.s.Cancel())
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.Cancelled, v.last.Outcome)
	require.NoError(t, v.next(settled(v.last.Seq)))
	s.nothingHeld()
}

func TestAJobThatCantRunCostsNothing(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	g.job.Args = []string{"bad"}
	a := g.lease()
	v := g.attach(a, 0)
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.ProviderFailed, v.last.Outcome)
	require.True(t, v.last.Charged.IsZero())
	require.NoError(t, v.next(settled(1)))
	require.Contains(t, s.record(a.Lease.Hash()).Reason, "no _start")
	s.nothingHeld()
}

func TestTheNewestAttachWins(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	a := g.lease()
	old := g.attach(a, 0)
	s.started()
	young := g.attach(a, 0)
	err := old.next(isDone)
	require.True(t, wire.IsCode(err, wire.Superseded), "%v", err)
	s.started().exit(executor.Exited, 3)
	require.NoError(t, young.next(isDone))
	require.Equal(t, market.JobFailed, young.last.Outcome)
}

func TestARestartGoesOnWithAProcessThatStillRuns(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	a := g.lease()
	v := g.attach(a, 0)
	s.started()
	require.NoError(t, v.next(ticks(1)))
	s.restart()
	require.NoError(t, g.reconcile())
	again := g.attach(a, v.last.Seq)
	again.last = v.last
	require.NoError(t, again.next(ticks(v.last.Seq+1)))
	s.started().exit(executor.Exited, 0)
	require.NoError(t, again.next(isDone))
	require.Equal(t, market.Succeeded, again.last.Outcome)
	s.nothingHeld()
}

func TestARestartEndsALostProcessAtWhatWasSigned(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	a := g.lease()
	v := g.attach(a, 0)
	s.started()
	require.NoError(t, v.next(ticks(1)))
	s.stage.lose()
	s.restart()
	again := g.attach(a, 0)
	require.NoError(t, again.next(isDone))
	require.Equal(t, market.ProviderFailed, again.last.Outcome)
	require.Equal(t, s.record(a.Lease.Hash()).Newest.Charged, again.receipts[len(again.receipts)-2].Charged, "nothing on top of what was signed")
	s.nothingHeld()
}

func TestALeaseIsNoBusinessOfOthers(t *testing.T) {
	s := newShop(t)
	g, stranger := newGuest(t, s), newGuest(t, s)
	a := g.lease()
	err := stranger.attach(a, 0).next(isDone)
	require.True(t, wire.IsCode(err, wire.Unknown), "%v", err)
}

func TestAnotherLiveNodeWithTheSameKeyIsToldApart(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	require.NoError(t, g.reconcile())
	twin := *g
	twin.boot = status.BootID{1}
	require.True(t, wire.IsCode(twin.reconcile(), wire.ChannelInUse))
	require.NoError(t, g.reconcile(), "the first goes on")
}
