package books

import (
	"fmt"

	"souk/node/ledger"
	"souk/protocol/market"
)

// Acceptance is a client's accept of a quote, read and checked.
type Acceptance struct {
	Quote   market.Quote
	Terms   market.Terms
	Lease   ledger.Lease // its documents; neither state nor the provider's signature
	Config  []byte       // of the channel
	Voucher *Voucher     // nil if none came with it
}

// Counter is what a provider's books say when an accept comes.
type Counter struct {
	Quote      ledger.Quote
	Channel    ledger.Channel
	Running    []Stake       // the other leases on the channel
	CreditLeft market.Amount // that the caps leave for one more lease of this client
}

// Uncovered refuses a lease whose prepaid ticks no voucher covers.
type Uncovered struct {
	Missing  market.Amount
	Wanted   market.Amount // a voucher that would do
	Disputed market.Amount // of Missing: of ended leases, never countersigned
}

func (u *Uncovered) Error() string {
	return fmt.Sprintf("the voucher doesn't cover what is signed and the prepaid ticks: %s USD more is needed", usd(u.Missing))
}

// OverCredit refuses a lease whose credit, promised when it was quoted, other
// leases have used up meanwhile.
type OverCredit struct{ Promised, Left market.Amount }

func (o *OverCredit) Error() string {
	return fmt.Sprintf("the quote gives credit of %s USD and other leases have used it up", usd(o.Promised))
}

// Accept makes a lease of an open quote: quote, channel, voucher and lease are
// one write. It refuses with ErrVoid, ErrAccepted, market.ErrTooLate,
// *Uncovered or *OverCredit.
func (s Side) Accept(c Counter, a Acceptance, now uint64) (w Writes, err error) {
	if c.Quote.Void {
		return w, ErrVoid
	}
	if !c.Quote.Lease.IsZero() {
		return w, ErrAccepted
	}
	l := a.Lease
	moment := market.Moment{Now: now, ExpiresAt: a.Quote.ExpiresAt, StartBy: a.Quote.StartBy}
	if l.State, err = market.Next(market.Quoted, market.Accepted, moment); err != nil {
		return w, err
	}
	ch := c.Channel
	ch.Config = a.Config // a channel that was adopted came without
	if a.Voucher != nil {
		var raised bool
		if w, raised = Raise(ch, *a.Voucher, now); raised {
			ch = *w.Channel
		}
	}
	if err := c.affords(ch, a); err != nil {
		return Writes{}, err
	}
	sig, err := s.Signer.Sign(s.Chain.Digest(l.Hash))
	if err != nil {
		return Writes{}, err
	}
	l.ProviderSignature, l.Created = sig[:], now
	c.Quote.Lease = l.Hash
	w.Role, w.Quote, w.Channel, w.Lease = ledger.Provider, &c.Quote, &ch, &l
	return w, nil
}

// affords sees that the channel covers the lease's prepaid ticks.
func (c Counter) affords(ch ledger.Channel, a Acceptance) error {
	if a.Quote.TickPrice.IsZero() {
		return nil
	}
	credit := Credit(a.Quote, a.Terms)
	cover := Cover(ch, c.Running, market.Hash{})
	cover.Credit = cover.Credit.Add(credit)
	if prepaid := a.Quote.Part(market.Amount{}, a.Terms.PrepayTicks, false); !cover.MayStart(prepaid) {
		cover.Started = cover.Started.Add(prepaid)
		return &Uncovered{Missing: cover.Missing(), Wanted: ch.Voucher.Add(cover.Missing()), Disputed: Disputed(ch, c.Running)}
	}
	if c.CreditLeft.Less(credit) {
		return &OverCredit{Promised: credit, Left: c.CreditLeft}
	}
	return nil
}
