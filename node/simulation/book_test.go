package simulation

import (
	"maps"
	"slices"

	"souk/node/ledger"
	"souk/protocol/market"
)

type place struct {
	lease market.Hash
	seq   uint32
}

// book is what a node has on disk. What a write that a crash cuts off has put
// is undone.
type book struct {
	quotes   map[market.Hash]ledger.Quote
	leases   map[market.Hash]ledger.Lease
	order    []market.Hash // of leases as they came
	channels map[market.Hash]ledger.Channel
	receipts map[place]ledger.Receipt
	vouchers []ledger.Voucher
	given    map[market.Hash]market.Amount // by channel: by how much late payments raised the voucher
	undo     []func()
}

func newBook() *book {
	return &book{
		quotes: map[market.Hash]ledger.Quote{}, leases: map[market.Hash]ledger.Lease{},
		channels: map[market.Hash]ledger.Channel{}, receipts: map[place]ledger.Receipt{}, given: map[market.Hash]market.Amount{},
	}
}

func (b *book) backup() *book {
	return &book{
		quotes: maps.Clone(b.quotes), leases: maps.Clone(b.leases), order: slices.Clone(b.order),
		channels: maps.Clone(b.channels), receipts: maps.Clone(b.receipts), vouchers: slices.Clone(b.vouchers), given: maps.Clone(b.given),
	}
}

func (b *book) commit() { b.undo = b.undo[:0] }

func (b *book) rollback() {
	for _, f := range slices.Backward(b.undo) {
		f()
	}
	b.commit()
}

func put[K comparable, V any](b *book, m map[K]V, k K, v V) {
	old, ok := m[k]
	b.undo = append(b.undo, func() {
		if m[k] = old; !ok {
			delete(m, k)
		}
	})
	m[k] = v
}

func get[K comparable, V any](m map[K]V, k K) (V, error) {
	v, ok := m[k]
	if !ok {
		return v, ledger.ErrNotFound
	}
	return v, nil
}

func (b *book) Lease(_ ledger.Role, h market.Hash) (ledger.Lease, error) { return get(b.leases, h) }

func (b *book) Channel(_ ledger.Role, id market.Hash) (ledger.Channel, error) {
	return get(b.channels, id)
}

func (b *book) PutQuote(q ledger.Quote) error {
	put(b, b.quotes, q.Hash, q)
	return nil
}

func (b *book) PutChannel(c ledger.Channel) error {
	put(b, b.channels, c.ID, c)
	return nil
}

func (b *book) AddVoucher(_ ledger.Role, v ledger.Voucher) error {
	n := len(b.vouchers)
	b.undo = append(b.undo, func() { b.vouchers = b.vouchers[:n] })
	b.vouchers = append(b.vouchers, v)
	return nil
}

func (b *book) PutReceipt(_ ledger.Role, r ledger.Receipt) error {
	put(b, b.receipts, place{r.Lease, r.Seq}, r)
	return nil
}

func (b *book) PutLease(l ledger.Lease) error {
	if _, known := b.leases[l.Hash]; !known {
		n := len(b.order)
		b.undo = append(b.undo, func() { b.order = b.order[:n] })
		b.order = append(b.order, l.Hash)
	}
	put(b, b.leases, l.Hash, l)
	return nil
}

// receipt is one receipt of a lease, nil if there is none.
func (b *book) receipt(lease market.Hash, seq uint32) *ledger.Receipt {
	r, ok := b.receipts[place{lease, seq}]
	if !ok {
		return nil
	}
	return &r
}

// on are a channel's leases.
func (b *book) on(channel market.Hash) (all []ledger.Lease) {
	for _, h := range b.order {
		if l := b.leases[h]; l.Channel == channel {
			all = append(all, l)
		}
	}
	return all
}
