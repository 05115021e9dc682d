package books

import (
	"fmt"

	"souk/node/ledger"
	"souk/protocol/market"
)

// What a client countersigns of a lease after it closed it on its side alone.

// goodwillPart is the part, one in so many, of what a client countersigned on
// a channel by which it raises the channel's voucher for lost leases without
// asking anybody. It is the provider's credit seen from the other side: a tick
// for each CreditEvery receipts.
const goodwillPart = 20

// Bound is how far a client goes in paying late.
type Bound struct {
	Given market.Amount  // by how much it raised the channel's voucher for that so far, by itself
	Most  *market.Amount // the highest charge that a person agreed to; nil: nobody was asked
}

// BeyondGoodwill refuses to pay late without a person's word.
type BeyondGoodwill struct {
	More market.Amount // by how much the voucher would have to be raised
	Most *market.Amount
}

func (b *BeyondGoodwill) Error() string {
	if b.Most != nil {
		return fmt.Sprintf("it charges more than the %s USD that were agreed to", usd(*b.Most))
	}
	return fmt.Sprintf("its vouchers don't cover %s USD of it, and by itself this node adds no more than a twentieth of what it has countersigned there", usd(b.More))
}

// PayLate countersigns a judged receipt of a lease that this client closed by
// itself: what it gave up costs what was signed for it and no longer what was
// prepaid. What the provider may claim grows by no more than the bound allows.
// It refuses with ErrNotNext, *BeyondGoodwill or *OverCap, and then writes nothing.
func (s Side) PayLate(a Account, l ledger.Lease, c Checked, b Bound, now uint64) (p Paid, err error) {
	r := c.Receipt
	if r.Seq != l.Countersigned.Seq+1 || l.State != market.Closed {
		return p, fmt.Errorf("%w: number %d, after %d, while %s", ErrNotNext, r.Seq, l.Countersigned.Seq, l.State)
	}
	if b.Most != nil && b.Most.Less(r.Charged) {
		return p, &BeyondGoodwill{Most: b.Most}
	}
	ch, ended := a.Channel, a.Channel.Ended
	ch.Due = ch.Due.Add(r.Charged.Sub(l.Countersigned.Charged))
	ch.Signed = ch.Signed.Add(r.Charged.Sub(l.Newest.Charged))
	ch.Ended = ended.Sub(l.Paid) // need adds what it costs now
	countLate(&l, r)
	before := a.Channel
	a.Channel = ch
	if p.Writes, err = s.raise(a, l, now); err != nil {
		return Paid{}, err
	}
	if p.Channel == nil {
		p.Channel = &ch
	}
	more := p.Channel.Voucher.Sub(before.Voucher)
	if b.Most == nil && before.Due.Less(b.Given.Add(more).Times(goodwillPart)) && !more.IsZero() {
		return Paid{}, &BeyondGoodwill{More: more}
	}
	if p.Signature, err = s.Signer.Sign(s.Chain.Digest(r.Hash())); err != nil {
		return Paid{}, err
	}
	p.Channel.Ended = ended // PutLease changes it with the lease
	l.Raised = l.Raised.Add(more)
	signed := c.Record
	signed.ClientSignature = p.Signature[:]
	p.Role, p.Receipt, p.Lease = ledger.Client, &signed, &l
	return p, nil
}

// countLate moves a closed lease on to a countersigned receipt. How it ended on
// this side stays as it is.
func countLate(l *ledger.Lease, r market.Receipt) {
	l.Countersigned = MarkOf(r)
	if r.Seq >= l.Newest.Seq {
		l.Newest = l.Countersigned
	}
	if r.Outcome == market.NotEnded { // a lease that was given up keeps the part it had
		l.Paid = market.MaxAmount(l.Paid, r.Charged)
		return
	}
	if l.Paid = r.Charged; l.Lost {
		l.Outcome = r.Outcome
	}
}
