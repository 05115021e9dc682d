// Package books decides what either side of a lease signs and accepts. Given
// the side's books as plain values, and what came from the other side, a
// decision says which records are to be written, or refuses and says why.
//
// It does no I/O, keeps nothing, and is told the time. Whoever asks writes all
// of a decision's Writes in one durable write, and sends only afterwards what
// is signed in them. Documents come to it as protocol/lease has read them:
// encodings, hashes and parties are right. What a signature must be on depends
// on the books, so Side checks it where it decides.
package books

import (
	"errors"

	"souk/internal/money"
	"souk/node/ledger"
	"souk/protocol/market"
)

// Reasons why a side neither signs nor writes.
var (
	ErrEnded     = errors.New("the lease's last receipt is signed already")
	ErrVoid      = errors.New("the quote was voided when its status was asked")
	ErrAccepted  = errors.New("the quote was accepted already")
	ErrNoReceipt = errors.New("no such receipt was sent")
	ErrKnown     = errors.New("this quote and job are a lease already")
	ErrNotNext   = errors.New("the receipt isn't the one to countersign")
)

// Signer signs with this side's key; *market.Signer is one.
type Signer interface {
	Address() market.Address
	Sign(digest market.Hash) (market.Signature, error)
}

// Side is one side of the leases on a chain.
type Side struct {
	Chain  market.Chain
	Signer Signer
	// Verify tells whether an address signed a digest, as market.Signature.Verify does.
	Verify func(sig market.Signature, digest market.Hash, who market.Address) error
}

// NewSide is the side that signs with that signer.
func NewSide(chain market.Chain, signer Signer) Side {
	return Side{Chain: chain, Signer: signer, Verify: market.Signature.Verify}
}

// Voucher is a voucher with its client's signature, which was checked.
type Voucher struct {
	market.Voucher
	Signature market.Signature
}

func (v Voucher) record(now uint64) *ledger.Voucher {
	return &ledger.Voucher{Channel: v.Channel, Block: v.Encode(), Max: v.Max, Signature: v.Signature[:], At: now}
}

// MarkOf is where a chain of receipts stands with r.
func MarkOf(r market.Receipt) ledger.Mark {
	return ledger.Mark{Seq: r.Seq, Hash: r.Hash(), Units: r.Units, Charged: r.Charged}
}

// Over tells that a lease in that state has its last receipt, or never will.
func Over(s market.State) bool { return s == market.Finishing || s == market.Closed }

// usd writes an amount for people.
func usd(a market.Amount) string { return money.Format(a) }
