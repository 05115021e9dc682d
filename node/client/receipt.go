package client

import (
	"errors"
	"fmt"
	"time"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// startSlack is what units may be above this node's own time since it asked
// for the start (DESIGN §6).
const startSlack = 250 * time.Millisecond

// spareReceipts is how many receipts there may be beyond one for each tick
// that has passed here: each costs this node a synced write.
const spareReceipts = 64

// cheat is a document that no honest provider signs. It ends the lease.
type cheat struct {
	unsure   bool // it may be this node's clock: the provider isn't accused
	code     market.FaultCode
	sentence string
	evidence []ledger.Receipt // as the provider signed them
	err      error
}

func (c *cheat) Error() string { return c.sentence }
func (c *cheat) Unwrap() error { return c.err }

// checked is a receipt that may be countersigned.
type checked struct {
	receipt market.Receipt
	body    market.Body
	record  ledger.Receipt
	known   bool // countersigned already
}

// check judges a receipt that the provider sent. Its error is a *cheat, or of the ledger.
func (x *execution) check(m *pb.Receipt) (checked, error) {
	r, err := market.DecodeReceipt(m.GetReceipt())
	if err != nil {
		return checked{}, &cheat{code: market.FaultBadDocument, sentence: "it sent a receipt that can't be read", err: err}
	}
	sig, err := market.SignatureFrom(m.GetProviderSignature())
	if err == nil {
		err = sig.Verify(x.e.chain.Digest(r.Hash()), x.quote.Provider)
	}
	if err != nil {
		return checked{}, &cheat{code: market.FaultBadSignature, sentence: fmt.Sprintf("receipt %d doesn't bear its signature", r.Seq), err: err}
	}
	c := checked{receipt: r, record: ledger.Receipt{
		Lease: x.lease.Hash, Seq: r.Seq, Block: m.GetReceipt(), ProviderSignature: sig[:], Body: m.GetBody(),
	}}
	if r.Lease == x.lease.Hash && r.Seq <= x.lease.Newest.Seq {
		stop, err := x.compare(&c)
		if stop || err != nil {
			return c, err
		}
	}
	return c, x.judge(&c)
}

// compare looks at a receipt with a number that is known already: the same
// one again, or proof that the provider signed two. stop says that nothing is
// left to check.
func (x *execution) compare(c *checked) (stop bool, err error) {
	old, err := x.e.receipt(x.e.ctx, x.lease.Hash, c.receipt.Seq)
	if errors.Is(err, ledger.ErrNotFound) {
		return true, nil // adopted from the provider without those before
	}
	if err != nil {
		return true, err
	}
	was, err := market.DecodeReceipt(old.Block)
	if err != nil {
		return true, err
	}
	if was != c.receipt {
		return true, &cheat{
			code: market.FaultEquivocation, evidence: []ledger.Receipt{old, c.record},
			sentence: fmt.Sprintf("it signed two different receipts with number %d, which cost %s and %s", c.receipt.Seq, usd(was.Charged), usd(c.receipt.Charged)),
		}
	}
	c.known = c.receipt.Seq <= x.lease.Countersigned.Seq
	return c.known, nil
}

// judge sees that a receipt follows the newest countersigned one, bears out
// its body, and counts no more time than has passed here.
func (x *execution) judge(c *checked) error {
	prev, err := x.previous()
	if err != nil {
		return err
	}
	bad := func(code market.FaultCode, format string, args ...any) error {
		return &cheat{code: code, sentence: fmt.Sprintf(format, args...), evidence: []ledger.Receipt{c.record}}
	}
	r := c.receipt
	if f := x.quote.CheckReceipt(prev, r, x.lease.Hash); f != nil {
		return bad(f.Code, "%s", f.Sentence)
	}
	if len(c.record.Body) > 0 || !r.BodyHash.IsZero() || r.Outcome != market.NotEnded {
		if market.BlockHash(c.record.Body) != r.BodyHash {
			return bad(market.FaultBadHash, "the body of receipt %d isn't the one that it names", r.Seq)
		}
		if c.body, err = market.DecodeBody(c.record.Body); err != nil {
			return bad(market.FaultBadDocument, "the body of receipt %d can't be read", r.Seq)
		}
		if err := c.body.BearsOut(r.Outcome); err != nil {
			return bad(market.FaultBadOutcome, "receipt %d: %v", r.Seq, err)
		}
	}
	if bad := x.judgeTime(c); bad != nil {
		return bad
	}
	return x.judgeCover(c)
}

// judgeTime sees that a receipt counts no more time than has passed here, and
// that receipts come no faster than ticks end.
func (x *execution) judgeTime(c *checked) error {
	r, passed := c.receipt, x.sinceStart()+startSlack
	ms := uint64(passed.Milliseconds()) //nolint:gosec // above 0
	bad := &cheat{evidence: []ledger.Receipt{c.record}, unsure: !x.startedHere}
	switch {
	case r.Units > ms:
		bad.code = market.FaultOverTime
		bad.sentence = fmt.Sprintf("receipt %d charges %s of running when %s had passed since the start was asked for",
			r.Seq, time.Duration(min(r.Units, 1<<52))*time.Millisecond, passed.Round(time.Millisecond)) //nolint:gosec // capped
	case uint64(r.Seq) > ms/x.quote.TickUnits+spareReceipts:
		bad.code = market.FaultBadDocument
		bad.sentence = fmt.Sprintf("it sent %d receipts within %s, one for a tick of %s is due",
			r.Seq, passed.Round(time.Millisecond), time.Duration(min(x.quote.TickUnits, 1<<42))*time.Millisecond) //nolint:gosec // capped
	default:
		return nil
	}
	return bad
}

// judgeCover sees that a receipt charges no more than what was covered when
// the newest one was countersigned lets a provider run for: that, its credit,
// the grace, and the time that stopping may take (DESIGN §6). It is what bounds
// a charge where this node's clock can't, such as after it was set forward.
func (x *execution) judgeCover(c *checked) error {
	var ch ledger.Channel
	err := x.e.cfg.Ledger.View(x.e.ctx, func(tx *ledger.Tx) (err error) {
		ch, err = tx.Channel(ledger.Client, x.lease.Channel)
		return err
	})
	if err != nil {
		return err
	}
	spare := x.quote.TickPrice.Times(uint64(x.terms.CreditTicks) + 2 + uint64(cancelTime.Milliseconds())/x.quote.TickUnits)
	most := x.lease.Countersigned.Charged.Add(ch.Voucher.Sub(ch.Due)).Add(spare)
	if !most.Less(c.receipt.Charged) {
		return nil
	}
	return &cheat{
		code: market.FaultOverCharge, unsure: true, evidence: []ledger.Receipt{c.record},
		sentence: fmt.Sprintf("receipt %d charges %s USD, and no more than %s USD was covered", c.receipt.Seq, usd(c.receipt.Charged), usd(most)),
	}
}

// previous is the newest countersigned receipt, nil before the first.
func (x *execution) previous() (*market.Receipt, error) {
	if x.lease.Countersigned.Seq == 0 {
		return nil, nil //nolint:nilnil // the first receipt follows none
	}
	rec, err := x.e.receipt(x.e.ctx, x.lease.Hash, x.lease.Countersigned.Seq)
	if err != nil {
		return nil, err
	}
	r, err := market.DecodeReceipt(rec.Block)
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
