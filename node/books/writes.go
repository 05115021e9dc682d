package books

import (
	"errors"

	"souk/node/ledger"
	"souk/protocol/market"
)

// Writes is what a decision wants written, all of it in one durable write.
type Writes struct {
	Role    ledger.Role
	Quote   *ledger.Quote
	Channel *ledger.Channel
	Voucher *ledger.Voucher // after Channel, which has it as its highest
	Receipt *ledger.Receipt
	Lease   *ledger.Lease
}

// Book is where a side's records are; *ledger.Tx is one.
type Book interface {
	Lease(role ledger.Role, hash market.Hash) (ledger.Lease, error) // wraps ledger.ErrNotFound
	Channel(role ledger.Role, id market.Hash) (ledger.Channel, error)
	PutQuote(q ledger.Quote) error
	PutChannel(c ledger.Channel) error
	AddVoucher(role ledger.Role, v ledger.Voucher) error
	PutReceipt(role ledger.Role, r ledger.Receipt) error
	PutLease(l ledger.Lease) error
}

// Store writes them.
func (w Writes) Store(b Book) error {
	var errs [5]error
	if w.Quote != nil {
		errs[0] = b.PutQuote(*w.Quote)
	}
	if w.Channel != nil {
		errs[1] = b.PutChannel(*w.Channel)
	}
	if w.Voucher != nil && errs[1] == nil {
		errs[2] = b.AddVoucher(w.Role, *w.Voucher)
	}
	if w.Receipt != nil {
		errs[3] = b.PutReceipt(w.Role, *w.Receipt)
	}
	if w.Lease != nil {
		errs[4] = PutLease(b, *w.Lease)
	}
	return errors.Join(errs[:]...)
}

// StoreBut writes them but for the lease, which goes into l: the caller writes
// that, in the same write.
func (w Writes) StoreBut(b Book, l *ledger.Lease) error {
	if w.Lease != nil {
		*l, w.Lease = *w.Lease, nil
	}
	return w.Store(b)
}

// PutLease writes a lease, and for a client its channel where the sums of its
// leases' parts change with it. Nobody else writes a client's leases.
func PutLease(b Book, l ledger.Lease) error {
	if l.Role != ledger.Client {
		return b.PutLease(l)
	}
	old, err := b.Lease(ledger.Client, l.Hash)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	if before, after := sumsOf(old), sumsOf(l); before != after {
		ch, err := b.Channel(ledger.Client, l.Channel)
		if err != nil {
			return err
		}
		ch.Ended = ch.Ended.Add(after.ended).Sub(before.ended)
		ch.Live = ch.Live.Add(after.live).Sub(before.live)
		ch.Credit = ch.Credit.Add(after.credit).Sub(before.credit)
		if err := b.PutChannel(ch); err != nil {
			return err
		}
	}
	return b.PutLease(l)
}

// sums is what a lease adds to those of its channel.
type sums struct{ ended, live, credit market.Amount }

func sumsOf(l ledger.Lease) sums {
	if l.State == market.Closed {
		return sums{ended: l.Paid}
	}
	return sums{live: l.Paid, credit: l.Credit}
}
