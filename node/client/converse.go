package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// converse attaches to the lease and goes on until the lease is closed or the
// conversation breaks off.
func (x *execution) converse(ctx context.Context) error {
	if err := x.e.connectKnown(ctx, x.peer); err != nil {
		return err
	}
	if err := x.e.reconcile(ctx, x.peer); err != nil {
		return err
	}
	if err := x.refresh(ctx); err != nil { // reconciling may have brought news
		return err
	}
	if err := x.begin(ctx); err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	s, err := run.Open(ctx, x.e.cfg.Host, x.peer, run.Attach{
		Lease: x.lease.Hash, LogOffset: uint64(x.log.size), ReceiptSeq: x.lease.Countersigned.Seq, //nolint:gosec // not negative
		Hold: x.lease.Hold,
	})
	if err != nil {
		return err
	}
	defer s.Close()
	s.Impatient(x.e.cfg.Times.Lost + time.Second)
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, s.Close)() // whichever of them fails ends the stream
	overdue := x.overdue()
	g.Go(func() error { return expire(ctx, overdue) })
	g.Go(func() error { return ping(ctx, s) })
	g.Go(func() error { return x.passCancel(ctx, s) })
	if x.lease.Unproven {
		g.Go(func() error { return x.cancelUnproven(ctx, s) })
	} else if x.lease.Hold {
		g.Go(func() error { return x.prove(ctx, s) })
	}
	if !x.inputsSent {
		g.Go(func() error { return x.sendInputs(ctx) })
	}
	g.Go(func() error {
		defer end()
		return x.listen(ctx, s)
	})
	return g.Wait()
}

// refresh reads the lease again.
func (x *execution) refresh(ctx context.Context) error {
	return x.e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		x.lease, err = tx.Lease(ledger.Client, x.lease.Hash)
		return err
	})
}

// begin records that the start is about to be asked for: units are counted
// from here on.
func (x *execution) begin(ctx context.Context) error {
	if x.lease.State != market.Agreed {
		return nil
	}
	awake := x.e.cfg.Clock.Awake()
	l, err := x.e.change(ctx, x.lease.Hash, func(_ *ledger.Tx, l *ledger.Lease) (err error) {
		*l, err = books.Ask(*l, x.quote, x.fresh, x.e.nowMillis())
		return err
	})
	if err == nil {
		x.lease, x.startedHere, x.startedAwake = l, x.fresh, awake
	}
	return err
}

// ping keeps the conversation alive from this side.
func ping(ctx context.Context, s *run.Session) error {
	t := time.NewTicker(run.KeepAlive)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := s.Ping(); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// errOverdue is a provider that stays in touch but doesn't come to an end.
var errOverdue = errors.New("the lease should have ended by now")

// passCancel tells the provider when the user cancels, and gives it time to stop.
func (x *execution) passCancel(ctx context.Context, s *run.Session) error {
	select {
	case <-x.r.cancelled:
	case <-ctx.Done():
		return nil
	}
	if err := s.Cancel(); err != nil {
		return err
	}
	return expire(ctx, books.StopTime+x.e.cfg.Times.Lost)
}

// expire ends a conversation that lasts longer than d.
func expire(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return errOverdue
	case <-ctx.Done():
		return nil
	}
}

// overdue is the time until even a slow provider has prepared and run the
// job, or given it up.
func (x *execution) overdue() time.Duration {
	if x.lease.State == market.Finishing {
		return maxFetch
	}
	whole := x.quote.StartBy - x.quote.ExpiresAt + x.quote.MaxMillis + x.quote.TickUnits
	most := time.Duration(min(whole, 1<<42))*time.Millisecond + offer.Validity + 2*x.e.cfg.Times.Lost //nolint:gosec // capped
	return max(most-x.sinceStart(), 0)
}

// listen takes the provider's events in turn until the lease is closed.
func (x *execution) listen(ctx context.Context, s *run.Session) error {
	if err := x.sayAgain(ctx, s); err != nil {
		return err
	}
	if x.settling() {
		time.AfterFunc(x.e.cfg.Times.Settle, s.Close)
	}
	for x.lease.State != market.Closed {
		m, err := s.Next()
		if err != nil {
			return err
		}
		x.alive()
		if err := x.take(ctx, s, m); err != nil {
			return err
		}
	}
	return nil
}

// sayAgain repeats the newest countersignature, which may have been lost.
func (x *execution) sayAgain(ctx context.Context, s *run.Session) error {
	if x.lease.Countersigned.Seq == 0 {
		return nil
	}
	rec, err := x.e.receipt(ctx, x.lease.Hash, x.lease.Countersigned.Seq)
	if err != nil {
		return err
	}
	sig, err := market.SignatureFrom(rec.ClientSignature)
	if err != nil {
		return err
	}
	v, err := x.e.voucher(ctx, x.lease.Channel)
	if err != nil {
		return err
	}
	return s.Countersign(rec.Seq, sig, v)
}

func (x *execution) take(ctx context.Context, s *run.Session, m *pb.RunEvent) error {
	if x.isCaught() && (m.GetTick() != nil || m.GetDone() != nil) {
		return x.takeUncountersigned(ctx, m)
	}
	switch e := m.GetEvent().(type) {
	case *pb.RunEvent_State:
		return x.takeState(ctx, e.State)
	case *pb.RunEvent_Log:
		n, err := x.log.append(e.Log.GetOffset(), e.Log.GetData(), x.terms.MaxLog)
		if n > 0 {
			x.r.hub.wake()
		}
		return err
	case *pb.RunEvent_Tick:
		return x.takeTick(ctx, s, e.Tick.GetReceipt())
	case *pb.RunEvent_Done:
		return x.takeDone(ctx, s, e.Done.GetReceipt())
	case *pb.RunEvent_Settled:
		return x.takeSettled(ctx, e.Settled.GetSeq())
	case nil:
		return nil // fills a silence
	default:
		return wire.Malformed("an event that doesn't belong here")
	}
}

// maxStates is the most news of its state that a provider can make this node
// pass on; an honest one has a handful.
const maxStates = 64

// detailEvery is the shortest time between two details of one state.
const detailEvery = 500 * time.Millisecond

// takeState passes on what the provider says of the execution. It moves the
// lease to running, which is for people: money goes by receipts alone.
func (x *execution) takeState(ctx context.Context, st *pb.State) error {
	text, detail := printable(st.GetState()), printable(st.GetDetail())
	if text != "" && text == x.told {
		x.takeDetail(text, detail)
		return nil
	}
	if text == "" || x.states >= maxStates {
		return nil
	}
	x.told, x.detail, x.detailed = text, detail, x.e.cfg.Clock.Mono()-detailEvery
	x.states++
	x.r.emit(Event{Kind: StateIs, Attempt: x.lease.Attempt, State: text, Text: detail})
	if text == string(market.Running) {
		x.timeRuns()
		return x.running(ctx)
	}
	return nil
}

// takeDetail passes on how far the provider is, such as with an image, at most
// twice a second.
func (x *execution) takeDetail(state, detail string) {
	now := x.e.cfg.Clock.Mono()
	if detail == "" || detail == x.detail || now-x.detailed < detailEvery {
		return
	}
	x.detail, x.detailed = detail, now
	x.r.emit(Event{Kind: StateIs, Attempt: x.lease.Attempt, State: state, Text: detail})
}

func (x *execution) running(ctx context.Context) error {
	if x.lease.State != market.Preparing {
		return nil
	}
	l, err := x.e.change(ctx, x.lease.Hash, func(_ *ledger.Tx, l *ledger.Lease) (err error) {
		l.State, err = market.Next(l.State, market.Start, market.Moment{Now: min(x.e.nowMillis(), x.quote.StartBy), StartBy: x.quote.StartBy})
		return err
	})
	if err == nil {
		x.lease = l
	}
	return err
}

// takeTick countersigns an honest receipt.
func (x *execution) takeTick(ctx context.Context, s *run.Session, m *pb.Receipt) error {
	c, err := x.check(m)
	if err != nil || c.Known {
		return err
	}
	if c.Receipt.Outcome != market.NotEnded {
		return wire.Malformed("the last receipt came as a tick")
	}
	if err := x.running(ctx); err != nil {
		return err
	}
	return x.countersign(ctx, s, c)
}

// countersign makes the countersignature durable together with the voucher
// that it raises and with the edits, and then sends both signatures.
func (x *execution) countersign(ctx context.Context, s *run.Session, c books.Checked, before ...edit) error {
	began := x.e.cfg.Clock.Mono()
	if err := x.log.sync(); err != nil {
		return err
	}
	p, err := x.e.pay(ctx, x.lease, x.quote, x.terms, c, before...)
	x.slowest = max(x.slowest, x.e.cfg.Clock.Mono()-began)
	if err != nil {
		return fmt.Errorf("countersign receipt %d: %w", c.Receipt.Seq, err)
	}
	x.lease = p.lease
	if p.capped != nil && !x.warned {
		x.r.notice(wire.Credit, "the voucher isn't raised any more: %v; the provider stops when what it has is used up", p.capped)
		x.warned = true
	}
	charged := c.Receipt.Charged
	x.r.emit(Event{Kind: Ticked, Attempt: x.lease.Attempt, Seq: c.Receipt.Seq, Units: c.Receipt.Units, Charged: &charged})
	return s.Countersign(c.Receipt.Seq, p.signature, p.voucher)
}

func printable(s string) string {
	return wire.FromProto(&pb.Refusal{Sentence: s}).Sentence
}
