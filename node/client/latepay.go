package client

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// lateTime is how long a provider has for a lease that is paid late: to stop
// what still runs of it, and to sign the last receipt.
const lateTime = books.StopTime + wire.AskTimeout

// leave is why a lease may be paid late: it was lost in a silence, or a person
// agreed to a charge. Without it what was countersigned is repeated and no more.
type leave struct {
	lost bool
	most *market.Amount // the highest charge that a person agreed to
}

// notPaid is a receipt that isn't countersigned late.
type notPaid struct {
	receipt market.Receipt
	why     string
}

func (n *notPaid) Error() string { return n.why }

// latePayment is a conversation on a closed lease.
type latePayment struct {
	*execution
	leave
	last    bool     // the last receipt is countersigned
	refused *notPaid // a receipt isn't, nor any after it
	settled uint32   // the newest countersignature that the provider says it has
}

// payLate attaches to a closed lease, ends what may still run of it, and
// countersigns the receipts that come as far as it has leave to. shown is the
// newest that the provider showed. It returns nil once the provider has all
// countersignatures, or *notPaid.
func (e *Engine) payLate(ctx context.Context, p peer.ID, l ledger.Lease, shown market.Receipt, why leave) error {
	ctx, cancel := context.WithTimeout(ctx, lateTime)
	defer cancel()
	x, err := e.reopen(p, l)
	if err == nil {
		err = e.connectKnown(ctx, p)
	}
	if err != nil {
		return err
	}
	runs := shown.Outcome == market.NotEnded // perhaps; then it is cancelled, and doesn't start meanwhile
	s, err := run.Open(ctx, e.cfg.Host, p, run.Attach{
		Lease: l.Hash, LogOffset: uint64(x.terms.MaxLog), //nolint:gosec // not negative; no log is longer, and none of it is wanted any more
		ReceiptSeq: l.Countersigned.Seq, Hold: runs,
	})
	if err != nil {
		return err
	}
	defer s.Close()
	if runs {
		err = s.Cancel()
	}
	if err = errors.Join(err, x.sayAgain(ctx, s)); err != nil {
		return err
	}
	late := latePayment{execution: x, leave: why}
	for !late.last && late.refused == nil || late.settled != x.lease.Countersigned.Seq {
		err := late.next(ctx, s)
		if wire.IsCode(err, wire.WrongState) && x.lease.Countersigned.Seq >= shown.Seq {
			break // it closed the lease without a last receipt
		}
		if errors.As(err, &late.refused) {
			continue // what was countersigned before may still be on its way
		}
		if err != nil && late.refused == nil {
			return err
		}
		if err != nil {
			break
		}
	}
	if late.refused != nil {
		return late.refused
	}
	return nil
}

// reopen is an execution that nobody waits for any more.
func (e *Engine) reopen(p peer.ID, l ledger.Lease) (x *execution, err error) {
	x = &execution{e: e, lease: l, hash: l.Hash, attempt: l.Attempt, peer: p}
	if x.quote, err = market.DecodeQuote(l.Quote); err == nil {
		x.terms, err = market.DecodeTerms(l.Terms)
	}
	return x, err
}

// next takes the provider's next event.
func (x *latePayment) next(ctx context.Context, s *run.Session) error {
	m, err := s.Next()
	if err != nil {
		return err
	}
	switch e := m.GetEvent().(type) {
	case *pb.RunEvent_Tick:
		return x.take(ctx, s, e.Tick.GetReceipt())
	case *pb.RunEvent_Done:
		return x.take(ctx, s, e.Done.GetReceipt())
	case *pb.RunEvent_Settled:
		x.settled = e.Settled.GetSeq()
	}
	return nil
}

// take judges a receipt as any other and countersigns it, or says in a *notPaid
// why not.
func (x *latePayment) take(ctx context.Context, s *run.Session, m *pb.Receipt) error {
	if x.refused != nil {
		return nil
	}
	c, err := x.judge(m)
	var bad *books.Cheat
	switch {
	case errors.As(err, &bad) && !bad.Unsure:
		err := x.e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error { return x.e.accuse(tx, x.lease, bad) })
		return errors.Join(err, &notPaid{c.Receipt, bad.Sentence})
	case errors.As(err, &bad):
		return &notPaid{c.Receipt, bad.Sentence}
	case err != nil:
		return err
	}
	x.last = c.Receipt.Outcome != market.NotEnded
	if c.Known {
		return nil
	}
	if !x.leave.lost && x.most == nil {
		return &notPaid{c.Receipt, x.lease.Reason}
	}
	p, err := x.e.countersignLate(ctx, x.lease.Hash, c, x.most)
	var beyond *books.BeyondGoodwill
	var over *books.OverCap
	var no *wire.Refusal
	switch {
	case errors.As(err, &beyond), errors.As(err, &over), errors.As(err, &no):
		return &notPaid{c.Receipt, err.Error()}
	case err != nil:
		return err
	}
	x.lease = p.lease
	x.e.cfg.Log.Info("paid late for a lost lease", "lease", x.hash, "peer", x.peer, "receipt", c.Receipt.Seq, "charged", c.Receipt.Charged)
	return s.Countersign(c.Receipt.Seq, p.signature, p.voucher)
}

// judge judges a receipt of a closed lease. What only this node's clock
// speaks against counts for nothing where a person has agreed to the charge.
func (x *latePayment) judge(m *pb.Receipt) (books.Checked, error) {
	c, a, err := x.read(m)
	if err != nil {
		return c, err
	}
	a.Credit = a.Credit.Add(x.lease.Credit)
	agreed := x.most != nil
	if agreed {
		a.Passed = max(a.Passed, time.Duration(min(x.quote.MaxMillis, 1<<42))*time.Millisecond) //nolint:gosec // capped
	}
	judged, err := a.Judge(c)
	var bad *books.Cheat
	if agreed && errors.As(err, &bad) && bad.Unsure {
		return judged, nil
	}
	return judged, err
}

// countersignLate is the one durable write of a late countersignature.
func (e *Engine) countersignLate(ctx context.Context, h market.Hash, c books.Checked, most *market.Amount) (p paid, err error) {
	err = e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		l, err := tx.Lease(ledger.Client, h)
		if err != nil {
			return err
		}
		ch, err := tx.Channel(ledger.Client, l.Channel)
		if err != nil {
			return err
		}
		a, err := e.account(tx, ch, l)
		if err != nil {
			return err
		}
		d, err := readDisputes(tx, l.Peer)
		if err != nil {
			return err
		}
		w, err := e.side.PayLate(a, l, c, books.Bound{Given: d.Given, Most: most}, e.nowMillis())
		if err != nil {
			return err
		}
		if err := withinTotal(tx, l, *w.Lease, most != nil); err != nil {
			return err
		}
		p.lease, p.signature, p.voucher = *w.Lease, w.Signature, voucherProto(*w.Channel)
		given := market.Amount{}
		if most == nil {
			given = w.Channel.Voucher.Sub(ch.Voucher)
		}
		return errors.Join(w.Store(tx), e.editPeer(tx, l.Peer, func(p *ledger.Peer) { p.Receipts++ }), spentAnew(tx, l.JobID),
			editDisputes(tx, l.Peer, func(d *disputes) { d.paid(*w.Lease, c.Receipt, given) }))
	})
	return p, err
}

// paid notes a late countersignature.
func (d *disputes) paid(l ledger.Lease, r market.Receipt, given market.Amount) {
	d.Given = d.Given.Add(given)
	if x := d.of(l.Hash); r.Outcome != market.NotEnded || !r.Charged.Less(x.Charged) && !x.Charged.IsZero() {
		d.drop(l.Hash)
	}
}

// withinTotal sees that a lease's job stays within its limits.total whatever the
// lease that took the lost one's place may yet cost, unless a person said that
// it may cost more.
func withinTotal(tx *ledger.Tx, before, after ledger.Lease, agreed bool) error {
	more := after.Paid.Sub(before.Paid)
	if agreed || more.IsZero() || before.JobID == "" {
		return nil
	}
	j, err := tx.Job(before.JobID)
	if err != nil {
		return err
	}
	rest, err := left(tx, j)
	if err != nil {
		return err
	}
	promised, err := promised(tx, j)
	if rest = rest.Sub(promised); err == nil && rest.Less(more) {
		err = wire.Refuse(OverTotal, "it costs %s more than was prepaid, and limits.total of its job leaves %s", usd(more), usd(rest))
	}
	return err
}

// promised is what a job's open leases may cost beyond what left counts.
func promised(tx *ledger.Tx, j ledger.Job) (sum market.Amount, err error) {
	for _, h := range j.Leases {
		l, err := tx.Lease(ledger.Client, h)
		if err != nil {
			return sum, err
		}
		if l.State == market.Closed {
			continue
		}
		q, err := market.DecodeQuote(l.Quote)
		if err != nil {
			return sum, err
		}
		sum = sum.Add(q.Ceiling().Sub(l.Paid))
	}
	return sum, nil
}

// spentAnew counts again what a job that is done has cost.
func spentAnew(tx *ledger.Tx, id string) error {
	if id == "" {
		return nil
	}
	j, err := tx.Job(id)
	if err != nil || j.State != ledger.JobDone {
		return err
	}
	if j.Spent, err = spent(tx, j); err != nil {
		return err
	}
	return tx.PutJob(j)
}
