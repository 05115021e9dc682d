package books

import (
	"errors"
	"fmt"

	"souk/node/ledger"
	"souk/protocol/market"
)

// Caps bounds, in money, what vouchers may say above what was countersigned:
// what a client can lose to providers.
type Caps struct {
	PerPeer market.Amount
	InAll   market.Amount
}

// Account is a client's channel with what bounds its voucher.
type Account struct {
	Channel   ledger.Channel
	Others    market.Amount // sum of Paid over the live leases on it but the one decided on, see Beside
	Elsewhere market.Amount // what the client's other channels are vouchered above what is due
	Caps      Caps
}

// Beside is what the live leases on a channel but l, as it is in the books,
// have the voucher cover.
func Beside(ch ledger.Channel, l ledger.Lease) market.Amount { return ch.Live.Sub(sumsOf(l).live) }

// OverCap refuses a voucher that would let providers keep more than a cap.
type OverCap struct {
	InAll bool // it is the cap for all providers together
	Could market.Amount
	Cap   market.Amount
}

func (o *OverCap) Error() string {
	if o.InAll {
		return fmt.Sprintf("all providers together could keep %s, the cap is %s", usd(o.Could), usd(o.Cap))
	}
	return fmt.Sprintf("this provider could keep %s, the cap for one peer is %s", usd(o.Could), usd(o.Cap))
}

// need is what the channel's voucher must cover once l stands as it does.
func (a Account) need(l ledger.Lease) market.Amount {
	return a.Channel.Ended.Add(a.Others).Add(l.Paid)
}

// raise brings the voucher up to what the leases need, within the caps. It
// never lowers it. With *OverCap nothing was changed.
func (s Side) raise(a Account, l ledger.Lease, now uint64) (w Writes, err error) {
	want := a.need(l)
	if !a.Channel.Voucher.Less(want) {
		return Writes{Role: ledger.Client}, nil
	}
	here := want.Sub(a.Channel.Due)
	if a.Caps.PerPeer.Less(here) {
		return w, &OverCap{Could: here, Cap: a.Caps.PerPeer}
	}
	if all := here.Add(a.Elsewhere); a.Caps.InAll.Less(all) {
		return w, &OverCap{InAll: true, Could: all, Cap: a.Caps.InAll}
	}
	v := Voucher{Voucher: market.Voucher{Channel: a.Channel.ID, Max: want}}
	if v.Signature, err = s.Signer.Sign(s.Chain.VoucherDigest(v.Voucher)); err != nil {
		return w, err
	}
	w, _ = Raise(a.Channel, v, now)
	return w, nil
}

// Lease makes a lease of a quote for a job, with the voucher for its prepaid
// ticks. l has its documents but the lease itself; known tells that the books
// have a lease with the same hash. It refuses with ErrKnown or *OverCap.
func (s Side) Lease(a Account, l ledger.Lease, q market.Quote, t market.Terms, known bool, now uint64) (w Writes, err error) {
	if known {
		return w, ErrKnown
	}
	sig, err := s.Signer.Sign(s.Chain.Digest(l.Hash))
	if err != nil {
		return w, err
	}
	l.Role, l.Channel, l.Chain, l.State = ledger.Client, q.Channel, s.Chain, market.Quoted
	l.ClientSignature, l.Created = sig[:], now
	l.Paid, l.Credit = q.Part(market.Amount{}, t.PrepayTicks, false), Credit(q, t)
	if w, err = s.raise(a, l, now); err != nil {
		return w, err
	}
	if w.Channel == nil {
		w.Channel = &a.Channel
	}
	l.Raised = w.Channel.Voucher.Sub(a.Channel.Voucher)
	w.Lease = &l
	return w, nil
}

// Paid is a countersignature and what is written with it.
type Paid struct {
	Writes
	Signature market.Signature
	Capped    error // an *OverCap that kept the voucher where it was
}

// Pay countersigns a judged receipt: the receipt with both signatures, what is
// due, and the voucher raised to what is needed. A lease that was cancelled
// prepays no further tick. It refuses with ErrNotNext.
func (s Side) Pay(a Account, l ledger.Lease, q market.Quote, t market.Terms, c Checked, now uint64) (p Paid, err error) {
	r := c.Receipt
	if r.Seq != l.Countersigned.Seq+1 || !l.State.Live() {
		return p, fmt.Errorf("%w: number %d, after %d, while %s", ErrNotNext, r.Seq, l.Countersigned.Seq, l.State)
	}
	if p.Signature, err = s.Signer.Sign(s.Chain.Digest(r.Hash())); err != nil {
		return p, err
	}
	before := a.Channel.Voucher
	a.Channel.Due = a.Channel.Due.Add(r.Charged.Sub(l.Countersigned.Charged))
	a.Channel.Signed = a.Channel.Signed.Add(r.Charged.Sub(l.Newest.Charged))
	count(&l, q, t, r)
	p.Writes, err = s.raise(a, l, now)
	var over *OverCap
	if errors.As(err, &over) {
		p.Capped, err = over, nil
	}
	if p.Channel == nil {
		p.Channel = &a.Channel
	}
	l.Raised = l.Raised.Add(p.Channel.Voucher.Sub(before))
	signed := c.Record
	signed.ClientSignature = p.Signature[:]
	p.Role, p.Receipt, p.Lease = ledger.Client, &signed, &l
	return p, err
}

// count moves a client's lease on to a countersigned receipt.
func count(l *ledger.Lease, q market.Quote, t market.Terms, r market.Receipt) {
	ended, prepay := r.Outcome != market.NotEnded, t.PrepayTicks
	if l.Cancelled {
		prepay = 0
	}
	l.Countersigned = MarkOf(r)
	if r.Seq >= l.Newest.Seq {
		l.Newest = l.Countersigned
	}
	l.Paid = market.MaxAmount(r.Charged, q.Part(r.Charged, prepay, ended))
	if ended {
		l.Outcome = r.Outcome
	}
}

// Keep stores a lease's judged last receipt as it came, not countersigned yet.
func Keep(l ledger.Lease, ch ledger.Channel, c Checked, now uint64) (w Writes, err error) {
	if l, err = Finishing(l, now); err != nil {
		return w, err
	}
	ch.Signed = ch.Signed.Add(c.Receipt.Charged.Sub(l.Newest.Charged))
	l.Newest = MarkOf(c.Receipt)
	return Writes{Role: ledger.Client, Channel: &ch, Receipt: &c.Record, Lease: &l}, nil
}
