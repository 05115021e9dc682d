package books_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

// history is all that a lease's two sides sent each other on it: receipts, and
// a countersignature with a voucher for each. The last receipt ends the lease.
type history struct {
	receipts []ledger.Receipt
	answers  []books.Countersignature
}

func drawHistory(t *rapid.T) (h history) {
	var prev market.Receipt
	for seq := range uint32(rapid.IntRange(1, 6).Draw(t, "receipts")) { //nolint:gosec // small
		r := market.Receipt{Lease: market.Hash{1}, Seq: seq + 1, Units: prev.Units + 1000, Charged: prev.Charged.Add(market.NewAmount(100))}
		if seq > 0 {
			r.Previous = prev.Hash()
		}
		h.add(t, r)
		prev = r
	}
	body, err := market.Body{Detail: "cancelled"}.Encode()
	require.NoError(t, err)
	h.add(t, market.Receipt{
		Lease: prev.Lease, Seq: prev.Seq + 1, Previous: prev.Hash(), Units: prev.Units, Charged: prev.Charged, Outcome: market.Cancelled, BodyHash: market.BlockHash(body),
	})
	h.receipts[len(h.receipts)-1].Body = body
	return h
}

func (h *history) add(t require.TestingT, r market.Receipt) {
	signed, err := parties.Provider.Sign(chain.Digest(r.Hash()))
	require.NoError(t, err)
	counter, err := parties.Client.Sign(chain.Digest(r.Hash()))
	require.NoError(t, err)
	v := books.Voucher{Voucher: market.Voucher{Channel: quote.Channel, Max: r.Charged.Add(market.NewAmount(100))}}
	v.Signature, err = parties.Client.Sign(chain.VoucherDigest(v.Voucher))
	require.NoError(t, err)
	h.receipts = append(h.receipts, ledger.Receipt{Lease: r.Lease, Seq: r.Seq, Block: r.Encode(), ProviderSignature: signed[:]})
	h.answers = append(h.answers, books.Countersignature{Seq: r.Seq, Signature: counter, Voucher: &v})
}

// drawn are messages in any order, each any number of times, or never.
func drawn(t *rapid.T, n int) []int {
	return rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 3*n).Draw(t, "messages")
}

// taker is a provider's books of one lease.
type taker struct {
	lease   ledger.Lease
	channel ledger.Channel
}

func (p *taker) take(t require.TestingT, h history, i int) {
	taken, err := books.NewSide(chain, parties.Provider).Countersigned(p.lease, p.channel, parties.Client.Address(), &h.receipts[i], h.answers[i], 1)
	require.NoError(t, err)
	if taken.Lease != nil {
		p.lease = *taken.Lease
	}
	if taken.Channel != nil {
		p.channel = *taken.Channel
	}
}

func newTaker() *taker {
	return &taker{
		ledger.Lease{Hash: market.Hash{1}, Role: ledger.Provider, State: market.Finishing, Channel: quote.Channel},
		ledger.Channel{ID: quote.Channel, Role: ledger.Provider},
	}
}

// Whatever order they come in, however often, and whichever are lost: a
// provider's books are what the same countersignatures make of them that came
// once each, in order.
func TestCountersignaturesInAnyOrderGiveTheSameBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		came := drawn(t, len(h.answers))
		p, want := newTaker(), newTaker()
		for _, i := range came {
			p.take(t, h, i)
		}
		slices.Sort(came)
		for _, i := range slices.Compact(came) {
			want.take(t, h, i)
		}
		require.Equal(t, want, p)
	})
}

// giver is a client's books of one lease.
type giver struct {
	lease ledger.Lease
	known map[uint32]*ledger.Receipt
}

// give judges a receipt, and notes it as countersigned if it may be.
func (c *giver) give(t require.TestingT, r ledger.Receipt) (known bool, err error) {
	checked, err := books.NewSide(chain, parties.Client).Read(r.Block, r.ProviderSignature, r.Body, quote.Provider)
	require.NoError(t, err)
	a := books.Against{Lease: c.lease, Quote: quote, Passed: 1 << 40, Sure: true, Same: c.known[r.Seq], Previous: c.known[c.lease.Countersigned.Seq]}
	a.Channel.Voucher = market.NewAmount(1 << 40)
	checked, err = a.Judge(checked)
	if err == nil && !checked.Known {
		c.lease.Newest, c.lease.Countersigned = books.MarkOf(checked.Receipt), books.MarkOf(checked.Receipt)
		c.known[r.Seq] = &r
	}
	return checked.Known, err
}

// A client countersigns a lease's receipts in their order, each once; what is
// repeated changes nothing, and what came too early is refused by name.
func TestReceiptsInAnyOrderAreTakenInTheirs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		c, next := &giver{lease: ledger.Lease{Hash: market.Hash{1}}, known: map[uint32]*ledger.Receipt{}}, 0
		for _, i := range drawn(t, len(h.receipts)) {
			before := c.lease
			known, err := c.give(t, h.receipts[i])
			switch {
			case i == next:
				require.NoError(t, err)
				require.False(t, known)
				next++
			case i < next:
				require.NoError(t, err)
				require.True(t, known)
				require.Equal(t, before, c.lease)
			default:
				var bad *books.Cheat
				require.ErrorAs(t, err, &bad)
				require.Equal(t, market.FaultGap, bad.Code)
				require.Equal(t, before, c.lease)
			}
		}
		require.EqualValues(t, next, c.lease.Countersigned.Seq)
	})
}
