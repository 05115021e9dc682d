package books_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// shelf is a client's book with one channel.
type shelf struct {
	leases   map[market.Hash]ledger.Lease
	channel  ledger.Channel
	receipts map[uint32]ledger.Receipt
}

func (s *shelf) Lease(_ ledger.Role, h market.Hash) (ledger.Lease, error) {
	l, ok := s.leases[h]
	if !ok {
		return l, ledger.ErrNotFound
	}
	return l, nil
}

func (s *shelf) Channel(ledger.Role, market.Hash) (ledger.Channel, error) { return s.channel, nil }
func (s *shelf) PutQuote(ledger.Quote) error                              { return nil }
func (s *shelf) PutChannel(c ledger.Channel) error                        { s.channel = c; return nil }
func (s *shelf) AddVoucher(ledger.Role, ledger.Voucher) error             { return nil }

func (s *shelf) PutReceipt(_ ledger.Role, r ledger.Receipt) error {
	s.receipts[r.Seq] = r
	return nil
}

func (s *shelf) PutLease(l ledger.Lease) error {
	s.leases[l.Hash] = l
	return nil
}

// newShelf is a channel on which due was countersigned for earlier leases, with
// the lost lease {1}, which prepaid 100, and perhaps a voucher above both.
func newShelf(due, spare uint64) *shelf {
	s := &shelf{leases: map[market.Hash]ledger.Lease{}, receipts: map[uint32]ledger.Receipt{}}
	s.leases[market.Hash{1}] = ledger.Lease{
		Hash: market.Hash{1}, Role: ledger.Client, Channel: quote.Channel, State: market.Closed, Lost: true, Paid: market.NewAmount(100),
	}
	s.channel = ledger.Channel{
		ID: quote.Channel, Role: ledger.Client, Due: market.NewAmount(due), Signed: market.NewAmount(due), Ended: market.NewAmount(due + 100),
		Voucher: market.NewAmount(due + 100 + spare),
	}
	return s
}

// late judges and pays a receipt as a client does that gave the lease up.
func (s *shelf) late(t require.TestingT, r ledger.Receipt, b books.Bound) error {
	side, l := books.NewSide(chain, parties.Client), s.leases[market.Hash{1}]
	c, err := side.Read(r.Block, r.ProviderSignature, r.Body, quote.Provider)
	require.NoError(t, err)
	known := func(seq uint32) *ledger.Receipt {
		if r, ok := s.receipts[seq]; ok {
			return &r
		}
		return nil
	}
	c, err = books.Against{Lease: l, Quote: quote, Channel: s.channel, Passed: time.Hour, Same: known(r.Seq), Previous: known(l.Countersigned.Seq)}.Judge(c)
	if err != nil || c.Known {
		return err
	}
	a := books.Account{Channel: s.channel, Others: books.Beside(s.channel, l), Caps: account.Caps}
	p, err := side.PayLate(a, l, c, b, 1)
	if err != nil {
		return err
	}
	return p.Store(s)
}

// Whatever order late receipts come in, however often, they are countersigned
// in theirs, each once; and whatever they charge, the client's voucher is
// raised by no more than a twentieth of what it had countersigned before.
func TestLateReceiptsInAnyOrderCostNoMoreThanTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		due, spare, given := rapid.Uint64Range(0, 9000).Draw(t, "due"), rapid.Uint64Range(0, 300).Draw(t, "spare"), rapid.Uint64Range(0, 300).Draw(t, "given")
		h, s := drawHistory(t), newShelf(due, spare)
		before, next := s.channel, 0
		for _, i := range drawn(t, len(h.receipts)) {
			was, held := s.leases[market.Hash{1}], s.channel
			b := books.Bound{Given: market.NewAmount(given).Add(held.Voucher.Sub(before.Voucher))}
			err := s.late(t, h.receipts[i], b)
			var beyond *books.BeyondGoodwill
			var bad *books.Cheat
			switch {
			case err == nil && i == next:
				next++
			case err == nil:
				require.Less(t, i, next, "a receipt was taken before its turn")
			case errors.As(err, &beyond):
				require.Equal(t, next, i)
			default:
				require.ErrorAs(t, err, &bad)
			}
			if err != nil {
				require.Equal(t, was, s.leases[market.Hash{1}])
				require.Equal(t, held, s.channel)
			}
			s.adds(t, due)
		}
		more := s.channel.Voucher.Sub(before.Voucher)
		require.True(t, more.IsZero() || !s.channel.Due.Less(more.Add(market.NewAmount(given)).Times(20)), "raised by %s with %s due", more, s.channel.Due)
	})
}

// adds sees that the channel's sums are those of its leases.
func (s *shelf) adds(t require.TestingT, due uint64) {
	l := s.leases[market.Hash{1}]
	require.Equal(t, market.NewAmount(due).Add(l.Countersigned.Charged), s.channel.Due)
	require.Equal(t, market.NewAmount(due).Add(l.Newest.Charged), s.channel.Signed)
	require.Equal(t, market.NewAmount(due).Add(l.Paid), s.channel.Ended)
	require.False(t, s.channel.Voucher.Less(s.channel.Ended), "a voucher that doesn't cover what is needed")
	require.False(t, l.Paid.Less(l.Countersigned.Charged))
}

func lateReceipts(t *testing.T, ticks int) (h history) {
	var prev market.Receipt
	for seq := range uint32(ticks) { //nolint:gosec // small
		r := market.Receipt{Lease: market.Hash{1}, Seq: seq + 1, Units: prev.Units + 1000, Charged: prev.Charged.Add(market.NewAmount(100))}
		if seq > 0 {
			r.Previous = prev.Hash()
		}
		h.add(t, r)
		prev = r
	}
	return h
}

// What a voucher covers the provider can claim anyway, so it is countersigned;
// beyond it, where next to nothing was paid before, a person has to agree.
func TestALostLeaseIsPaidAsFarAsVouchersCoverIt(t *testing.T) {
	h := lateReceipts(t, 2)
	s := newShelf(0, 0)
	require.NoError(t, s.late(t, h.receipts[0], books.Bound{}))
	var beyond *books.BeyondGoodwill
	require.ErrorAs(t, s.late(t, h.receipts[1], books.Bound{}), &beyond)
	require.Equal(t, market.NewAmount(100), beyond.More)
	require.Equal(t, market.NewAmount(100), s.channel.Voucher)

	less, enough := market.NewAmount(199), market.NewAmount(200)
	require.ErrorAs(t, s.late(t, h.receipts[1], books.Bound{Most: &less}), &beyond)
	require.NoError(t, s.late(t, h.receipts[1], books.Bound{Most: &enough}))
	require.Equal(t, market.NewAmount(200), s.channel.Voucher)
	require.Equal(t, market.NewAmount(200), s.channel.Due)

	spared := newShelf(0, 100) // a voucher that an earlier lease did not use up
	for _, r := range h.receipts {
		require.NoError(t, spared.late(t, r, books.Bound{}))
	}
	require.Equal(t, market.NewAmount(200), spared.channel.Voucher)
}

// A provider that loses its connection on purpose, again and again, gets a
// twentieth of what it was paid for work, and the caps bound that too.
func TestTrustIsUsedUp(t *testing.T) {
	h := lateReceipts(t, 2)
	regular := func(given uint64) (*shelf, error) {
		s := newShelf(2000, 0)
		require.NoError(t, s.late(t, h.receipts[0], books.Bound{}))
		return s, s.late(t, h.receipts[1], books.Bound{Given: market.NewAmount(given)})
	}
	s, err := regular(5)
	require.NoError(t, err)
	require.Equal(t, market.NewAmount(2200), s.channel.Voucher)
	var beyond *books.BeyondGoodwill
	_, err = regular(6)
	require.ErrorAs(t, err, &beyond)

	capped := newShelf(40_000, 0)
	capped.channel.Due = market.NewAmount(38_000) // 2000 of it is not countersigned: the cap of 1000 is over
	require.NoError(t, capped.late(t, h.receipts[0], books.Bound{}))
	var over *books.OverCap
	require.ErrorAs(t, capped.late(t, h.receipts[1], books.Bound{}), &over)
}

// A lease that lives is paid by Pay alone: what it prepays depends on it.
func TestALiveLeaseIsNotPaidLate(t *testing.T) {
	h, s := lateReceipts(t, 1), newShelf(0, 0)
	for _, state := range []market.State{market.Quoted, market.Running, market.Finishing} {
		l := s.leases[market.Hash{1}]
		l.State = state
		s.leases[market.Hash{1}] = l
		require.ErrorIs(t, s.late(t, h.receipts[0], books.Bound{}), books.ErrNotNext)
	}
	require.Empty(t, s.receipts)
}
