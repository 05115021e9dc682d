package books

import (
	"fmt"

	"souk/node/ledger"
	"souk/protocol/market"
)

// Raise keeps a voucher if it is higher than the channel's; a lower one
// changes nothing.
func Raise(ch ledger.Channel, v Voucher, now uint64) (w Writes, raised bool) {
	if !ch.Voucher.Less(v.Max) {
		return Writes{Role: ch.Role}, false
	}
	ch.Voucher, ch.Signature = v.Max, v.Signature[:]
	return Writes{Role: ch.Role, Channel: &ch, Voucher: v.record(now)}, true
}

// Countersignature is a client's signature on a receipt, with the voucher that
// came with it, nil if none did.
type Countersignature struct {
	Seq       uint32
	Signature market.Signature
	Voucher   *Voucher
}

// Taken is what a countersignature changes. Either part of it may be old.
type Taken struct {
	Writes
	Raised  bool // the channel's voucher
	Counted bool // a receipt that wasn't countersigned yet
	Settled bool // that was the lease's last one
	Closed  bool // and the lease is closed by it
}

// Changed tells that there is something to write.
func (t Taken) Changed() bool { return t.Raised || t.Counted }

// Countersigned takes a client's signature on the receipt r of a lease, nil if
// the books have none with that number.
func (s Side) Countersigned(l ledger.Lease, ch ledger.Channel, client market.Address, r *ledger.Receipt, c Countersignature, now uint64) (t Taken, err error) {
	t.Role = ledger.Provider
	if c.Voucher != nil {
		if t.Writes, t.Raised = Raise(ch, *c.Voucher, now); t.Raised {
			ch = *t.Channel
		}
	}
	if r == nil {
		return t, fmt.Errorf("%w: number %d", ErrNoReceipt, c.Seq)
	}
	doc, err := market.DecodeReceipt(r.Block)
	if err != nil {
		return t, err
	}
	if err := s.Verify(c.Signature, s.Chain.Digest(doc.Hash()), client); err != nil {
		return t, fmt.Errorf("receipt %d: %w", c.Seq, err)
	}
	if c.Seq <= l.Countersigned.Seq {
		return t, nil
	}
	signed := *r
	signed.ClientSignature = c.Signature[:]
	ch.Due = ch.Due.Add(doc.Charged).Sub(l.Countersigned.Charged)
	l.Countersigned = MarkOf(doc)
	t.Counted, t.Settled = true, doc.Outcome != market.NotEnded
	if t.Settled && l.State != market.Closed { // else nobody waited for it any more; it counts all the same
		if l.State, err = market.Next(l.State, market.Close, market.Moment{Now: now}); err != nil {
			return t, err
		}
		t.Closed = true
	}
	t.Channel, t.Receipt, t.Lease = &ch, &signed, &l
	return t, nil
}

// Remember counts a settled lease in its client's favour. One that cost
// nothing earns nothing: credit and holds would be had for free.
func Remember(p ledger.Peer, l ledger.Lease, now uint64) ledger.Peer {
	switch l.Outcome {
	case market.Succeeded, market.JobFailed:
		p.Good++
	case market.ProviderFailed:
		p.Failed++
	}
	if !l.Countersigned.Charged.IsZero() {
		p.Receipts += uint64(l.Countersigned.Seq)
	}
	p.Paid = p.Paid.Add(l.Countersigned.Charged)
	p.SeenAt = now
	return p
}
