package client

import (
	"errors"
	"time"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// check judges a receipt that the provider sent. Its error is a *books.Cheat,
// or of the ledger.
func (x *execution) check(m *pb.Receipt) (books.Checked, error) {
	c, a, err := x.read(m)
	if err != nil {
		return c, err
	}
	return a.Judge(c)
}

// read decodes a receipt and says what it is judged by.
func (x *execution) read(m *pb.Receipt) (c books.Checked, a books.Against, err error) {
	c, err = x.e.side.Read(m.GetReceipt(), m.GetProviderSignature(), m.GetBody(), x.quote.Provider)
	if err == nil {
		a, err = x.against(c.Receipt.Seq)
	}
	return c, a, err
}

// against is what the receipt with that number is judged by.
func (x *execution) against(seq uint32) (a books.Against, err error) {
	a = books.Against{Lease: x.lease, Quote: x.quote, Passed: x.sinceStart(), Sure: x.startedHere}
	err = x.e.cfg.Ledger.Peek(x.e.ctx, func(tx *ledger.Tx) (err error) {
		if a.Channel, err = tx.Channel(ledger.Client, x.lease.Channel); err != nil {
			return err
		}
		a.Credit = a.Channel.Credit
		if a.Same, err = receiptOf(tx, x.lease.Hash, seq); err != nil {
			return err
		}
		a.Previous, err = receiptOf(tx, x.lease.Hash, x.lease.Countersigned.Seq)
		return err
	})
	return a, err
}

// receiptOf is one receipt of a lease, nil where the books have none.
func receiptOf(tx *ledger.Tx, lease market.Hash, seq uint32) (*ledger.Receipt, error) {
	r, err := tx.Receipt(ledger.Client, lease, seq)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	return &r, err
}

// sinceStart is the time since the first attach was about to be sent: on the
// monotonic clock, or on the wall clock if that was before a restart.
func (x *execution) sinceStart() time.Duration {
	if x.startedHere {
		return x.e.cfg.Clock.Awake() - x.startedAwake
	}
	if now := x.e.nowMillis(); x.lease.Started > 0 && now > x.lease.Started {
		return time.Duration(now-x.lease.Started) * time.Millisecond //nolint:gosec // a short time
	}
	return 0
}
