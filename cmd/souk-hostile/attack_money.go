package main

import (
	"context"
	"errors"
	"time"

	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// The attacks on what a provider is owed.

const replays = 50

func replay(ctx context.Context, t *trial) error {
	g, err := t.guest(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	a, err := g.agreed(ctx, "replayed")
	if err != nil {
		return err
	}
	first, err := g.accept(ctx, a)
	if err != nil {
		return err
	}
	same, refused := 1, 0
	for range t.many(replays) - 1 {
		sig, err := g.accept(ctx, a)
		switch {
		case err == nil && sig == first:
			same++
		case err == nil:
			t.broke("a repeated accept got another signature: two leases of one quote")
		case wire.IsCode(err, wire.RateLimited):
			refused++
		default:
			t.broke("a repeated accept was answered with: %v", err)
		}
	}
	t.say("%d times the same answer, %d times asked to slow down", same, refused)
	if err := g.secondJob(ctx, t, a); err != nil {
		return err
	}
	return g.cancel(ctx, a)
}

// secondJob tries to get another lease for an accepted quote.
func (g *guest) secondJob(ctx context.Context, t *trial, a lease.Accepted) error {
	other, err := g.acceptance(a.Quoted, "another", enough(a.Quoted).Times(2))
	if err != nil {
		return err
	}
	wait(ctx, time.Second) // of the rate limit
	_, err = g.accept(ctx, other)
	var r *wire.Refusal
	switch {
	case err == nil:
		t.broke("a second job was leased on one quote")
	case errors.As(err, &r) && r.Code == wire.WrongState:
		t.say("another job on the same quote: refused with %s: %s", r.Code, r.Sentence)
	default:
		t.broke("another job on the same quote must be refused with %s, got: %v", wire.WrongState, err)
	}
	return nil
}

// agreed is an acceptance that is as it should be; it was not sent yet.
func (g *guest) agreed(ctx context.Context, name string) (lease.Accepted, error) {
	q, err := g.quote(ctx)
	if err != nil {
		return lease.Accepted{}, err
	}
	return g.acceptance(q, name, enough(q))
}

func lowVoucher(ctx context.Context, t *trial) error {
	g, err := t.guest(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	q, err := g.quote(ctx)
	if err != nil {
		return err
	}
	if enough(q).IsZero() {
		t.say("this provider wants nothing ahead: no voucher can be too low")
		return nil
	}
	a, err := g.acceptance(q, "too cheap", enough(q).Sub(market.NewAmount(1)))
	if err != nil {
		return err
	}
	_, err = g.accept(ctx, a)
	var r *wire.Refusal
	switch {
	case err == nil:
		t.broke("a voucher of %s was taken where %s is needed", usd(a.Voucher.Max), usd(enough(q)))
		return g.cancel(ctx, a)
	case errors.As(err, &r) && r.Code == wire.BadVoucher:
		t.say("refused with %s: %s; %s", r.Code, r.Sentence, r.Nearest)
	default:
		t.broke("a low voucher must be refused with %s, got: %v", wire.BadVoucher, err)
	}
	return nil
}

// freeRide is the longest that a provider runs for nothing: what is prepaid
// and on credit, a tick that was started, its grace, and the time to stop.
func freeRide(q lease.Quoted) time.Duration {
	tick := time.Duration(q.Quote.TickUnits) * time.Millisecond //nolint:gosec // 1 s to 1 h
	grace := min(max(tick, time.Second), 10*time.Second)
	return time.Duration(q.Terms.PrepayTicks+q.Terms.CreditTicks+1)*tick + grace + 10*time.Second
}

func neverPay(ctx context.Context, t *trial) error {
	g, err := t.guest(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	a, err := g.agreed(ctx, "never paid")
	if err != nil {
		return err
	}
	if a.Quote.TickPrice.IsZero() {
		t.say("this provider's price is 0: there is nothing to pay")
		return nil
	}
	if _, err := g.accept(ctx, a); err != nil {
		return err
	}
	if err := g.sendModule(ctx, a); err != nil {
		return err
	}
	s, err := g.attach(ctx, a)
	if err != nil {
		return err
	}
	defer s.Close()
	last, err := t.ride(s, a, freeRide(a.Quoted))
	if err != nil || last == nil {
		return err
	}
	if last.Outcome != market.Cancelled {
		t.broke("the lease ended as %s; without cover it must be %s", last.Outcome, market.Cancelled)
	}
	t.say("stopped after %s s as %s; it ran for %s, of which %s were covered", seconds(last.Units), last.Outcome, usd(last.Charged), usd(a.Voucher.Max))
	return nil
}

// ride takes receipts without ever countersigning, until the last one.
func (t *trial) ride(s *run.Session, a lease.Accepted, most time.Duration) (*market.Receipt, error) {
	var prev *market.Receipt
	for {
		e, err := s.Next()
		if err != nil {
			t.broke("the conversation broke off before the last receipt: %v", err)
			return nil, nil
		}
		m := e.GetTick().GetReceipt()
		if e.GetDone() != nil {
			m = e.GetDone().GetReceipt()
		}
		if m == nil {
			continue
		}
		r, err := market.DecodeReceipt(m.GetReceipt())
		if err != nil {
			t.broke("a receipt that can't be read: %v", err)
			return nil, nil
		}
		if fault := a.Quote.CheckReceipt(prev, r, a.Lease.Hash()); fault != nil {
			t.broke("%v", fault)
			return nil, nil
		}
		t.say("receipt %d: %s s, %s; not countersigned", r.Seq, seconds(r.Units), usd(r.Charged))
		prev = &r
		switch {
		case time.Duration(r.Units)*time.Millisecond > most: //nolint:gosec // checked against the quote
			t.broke("it ran for %s s without pay, %s is the most", seconds(r.Units), most)
			return nil, s.Cancel()
		case e.GetDone() != nil:
			return prev, nil
		}
	}
}
