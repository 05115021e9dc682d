package books_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// A receipt is judged before the write that pays it, and another may have paid
// it meanwhile: who asked twice pays once.
func TestAReceiptThatWasPaidSinceItWasJudgedIsNotPaidAgain(t *testing.T) {
	h, s := lateReceipts(t, 1), newShelf(0, 0)
	side, l := books.NewSide(chain, parties.Client), s.leases[market.Hash{1}]
	r := h.receipts[0]
	c, err := side.Read(r.Block, r.ProviderSignature, r.Body, quote.Provider)
	require.NoError(t, err)
	c, err = books.Against{Lease: l, Quote: quote, Channel: s.channel, Passed: time.Hour}.Judge(c)
	require.NoError(t, err)
	require.NoError(t, s.late(t, r, books.Bound{}))
	a := books.Account{Channel: s.channel, Others: books.Beside(s.channel, l), Caps: account.Caps}
	most := market.NewAmount(1000)
	_, err = side.PayLate(a, s.leases[market.Hash{1}], c, books.Bound{Most: &most}, 1)
	require.ErrorIs(t, err, books.ErrNotNext)
}

// What a lease may still charge stays prepaid until its last receipt, and what
// the voucher was raised for it stands in its record.
func TestALateReceiptThatIsNotTheLastGivesNothingBack(t *testing.T) {
	h, s := lateReceipts(t, 2), newShelf(4000, 0)
	l := s.leases[market.Hash{1}]
	l.Paid, s.channel.Ended, s.channel.Voucher = market.NewAmount(150), market.NewAmount(4150), market.NewAmount(4150)
	l.Newest = ledger.Mark{Seq: 2, Charged: market.NewAmount(200)} // known, and not countersigned
	s.channel.Signed = market.NewAmount(4200)
	s.leases[l.Hash] = l

	require.NoError(t, s.late(t, h.receipts[0], books.Bound{}))
	l = s.leases[l.Hash]
	require.Equal(t, market.NewAmount(150), l.Paid)
	require.Equal(t, uint32(2), l.Newest.Seq)
	require.Equal(t, uint32(1), l.Countersigned.Seq)
	require.True(t, l.Raised.IsZero())

	require.NoError(t, s.late(t, h.receipts[1], books.Bound{}))
	l = s.leases[l.Hash]
	require.Equal(t, market.NewAmount(200), l.Paid)
	require.Equal(t, market.NewAmount(50), l.Raised)
}
