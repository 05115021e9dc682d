package books

import (
	"errors"
	"fmt"
	"time"

	"souk/node/ledger"
	"souk/protocol/market"
)

const (
	// StartSlack is what units may be above the client's own time since it
	// asked for the start.
	StartSlack = 250 * time.Millisecond
	// StopTime is how long a provider may take to stop a process.
	StopTime = 10 * time.Second
	// spareReceipts is how many receipts there may be beyond one for each tick
	// that has passed: each costs the client a synced write.
	spareReceipts = 64
)

// Cheat is a document that no honest provider signs. It ends the lease.
type Cheat struct {
	Unsure   bool // it may be the client's clock or books: the provider isn't accused
	Code     market.FaultCode
	Sentence string
	Evidence []ledger.Receipt // as the provider signed them
	Err      error
}

func (c *Cheat) Error() string { return c.Sentence }
func (c *Cheat) Unwrap() error { return c.Err }

// Checked is a receipt that bears its provider's signature.
type Checked struct {
	Receipt market.Receipt
	Body    market.Body // once Judge let it pass
	Record  ledger.Receipt
	Known   bool // countersigned already: there is nothing to do for it
}

// Read reads a receipt that a provider sent and checks its signature; an error
// is a *Cheat.
func (s Side) Read(block, signature, body []byte, provider market.Address) (Checked, error) {
	r, err := market.DecodeReceipt(block)
	if err != nil {
		return Checked{}, &Cheat{Code: market.FaultBadDocument, Sentence: "it sent a receipt that can't be read", Err: err}
	}
	sig, err := market.SignatureFrom(signature)
	if err == nil {
		err = s.Verify(sig, s.Chain.Digest(r.Hash()), provider)
	}
	if err != nil {
		return Checked{}, &Cheat{Code: market.FaultBadSignature, Sentence: fmt.Sprintf("receipt %d doesn't bear its signature", r.Seq), Err: err}
	}
	return Checked{Receipt: r, Record: ledger.Receipt{
		Lease: r.Lease, Seq: r.Seq, Block: block, ProviderSignature: sig[:], Body: body,
	}}, nil
}

// Against is what a client judges a receipt by.
type Against struct {
	Lease    ledger.Lease
	Quote    market.Quote
	Channel  ledger.Channel
	Credit   market.Amount   // of the channel's live leases, in money
	Previous *ledger.Receipt // the newest countersigned one; nil before the first
	Same     *ledger.Receipt // the one with the same number; nil if there is none
	Passed   time.Duration   // since the start was asked for
	Sure     bool            // Passed is by the clock of the process that asked
}

// Judge sees that a receipt is the one that comes next, or is known: that it
// follows the newest countersigned one, bears out its body, and counts no more
// time and money than can be right. An error is a *Cheat, or says that the
// books themselves can't be read.
func (a Against) Judge(c Checked) (Checked, error) {
	if c.Receipt.Lease == a.Lease.Hash && c.Receipt.Seq <= a.Lease.Newest.Seq {
		if err := a.compare(c); err != nil {
			return c, err
		}
		if c.Known = c.Receipt.Seq <= a.Lease.Countersigned.Seq; c.Known {
			return c, nil
		}
	}
	var prev *market.Receipt
	if a.Previous != nil {
		r, err := market.DecodeReceipt(a.Previous.Block)
		if err != nil {
			return c, err
		}
		prev = &r
	}
	if f := a.Quote.CheckReceipt(prev, c.Receipt, a.Lease.Hash); f != nil {
		return c, c.cheat(f.Code, "%s", f.Sentence)
	}
	if err := c.readBody(); err != nil {
		return c, err
	}
	if err := a.judgeTime(c); err != nil {
		return c, err
	}
	return c, a.judgeCover(c)
}

func (c Checked) cheat(code market.FaultCode, format string, args ...any) error {
	return &Cheat{Code: code, Sentence: fmt.Sprintf(format, args...), Evidence: []ledger.Receipt{c.Record}}
}

// compare looks at a receipt whose number is known: the same one again, or
// proof that the provider signed two.
func (a Against) compare(c Checked) error {
	if a.Same == nil {
		return nil // adopted from the provider without those before
	}
	was, err := market.DecodeReceipt(a.Same.Block)
	if err != nil {
		return err
	}
	if was == c.Receipt {
		return nil
	}
	return &Cheat{
		Code: market.FaultEquivocation, Evidence: []ledger.Receipt{*a.Same, c.Record},
		Sentence: fmt.Sprintf("it signed two different receipts with number %d, which cost %s and %s", c.Receipt.Seq, usd(was.Charged), usd(c.Receipt.Charged)),
	}
}

func (c *Checked) readBody() (err error) {
	r := c.Receipt
	if len(c.Record.Body) == 0 && r.BodyHash.IsZero() && r.Outcome == market.NotEnded {
		return nil
	}
	if market.BlockHash(c.Record.Body) != r.BodyHash {
		return c.cheat(market.FaultBadHash, "the body of receipt %d isn't the one that it names", r.Seq)
	}
	if c.Body, err = market.DecodeBody(c.Record.Body); err != nil {
		return c.cheat(market.FaultBadDocument, "the body of receipt %d can't be read", r.Seq)
	}
	if err := c.Body.BearsOut(r.Outcome); err != nil {
		return c.cheat(market.FaultBadOutcome, "receipt %d: %v", r.Seq, err)
	}
	return nil
}

// judgeTime sees that a receipt counts no more time than has passed here, and
// that receipts come no faster than ticks end.
func (a Against) judgeTime(c Checked) error {
	r, passed := c.Receipt, a.Passed+StartSlack
	ms := uint64(passed.Milliseconds()) //nolint:gosec // above 0
	var err error
	switch {
	case r.Units > ms:
		err = c.cheat(market.FaultOverTime, "receipt %d charges %s of running when %s had passed since the start was asked for",
			r.Seq, time.Duration(min(r.Units, 1<<42))*time.Millisecond, passed.Round(time.Millisecond)) //nolint:gosec // capped
	case uint64(r.Seq) > ms/a.Quote.TickUnits+spareReceipts:
		err = c.cheat(market.FaultBadDocument, "it sent %d receipts within %s, one for a tick of %s is due",
			r.Seq, passed.Round(time.Millisecond), time.Duration(min(a.Quote.TickUnits, 1<<42))*time.Millisecond) //nolint:gosec // capped
	}
	var bad *Cheat
	if errors.As(err, &bad) {
		bad.Unsure = !a.Sure
	}
	return err
}

// judgeCover sees that a receipt charges no more than what was covered when
// the newest one was countersigned lets a provider run for: that, the credit,
// the grace, and the time that stopping may take. It is what bounds a charge
// where the client's clock can't, such as after it was set forward.
func (a Against) judgeCover(c Checked) error {
	spare := a.Quote.TickPrice.Times(2 + uint64(StopTime.Milliseconds())/a.Quote.TickUnits)
	most := a.Lease.Countersigned.Charged.Add(a.Channel.Voucher.Sub(a.Channel.Due)).Add(a.Credit).Add(spare)
	if !most.Less(c.Receipt.Charged) {
		return nil
	}
	return &Cheat{
		Code: market.FaultOverCharge, Unsure: true, Evidence: []ledger.Receipt{c.Record},
		Sentence: fmt.Sprintf("receipt %d charges %s USD, and no more than %s USD was covered", c.Receipt.Seq, usd(c.Receipt.Charged), usd(most)),
	}
}
