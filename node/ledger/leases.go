package ledger

import (
	"bytes"
	"errors"
	"iter"
	"slices"

	"souk/protocol/market"
)

// Quote gives the quote with this hash.
func (tx *Tx) Quote(hash market.Hash) (Quote, error) {
	return get[Quote](tx, key{quoteKey}.hash(hash), nil)
}

// PutQuote writes a quote over the one with its hash.
func (tx *Tx) PutQuote(q Quote) error { return tx.store(key{quoteKey}.hash(q.Hash), &q) }

// DeleteQuote forgets a quote; that there is none is no error.
func (tx *Tx) DeleteQuote(hash market.Hash) error { return tx.remove(key{quoteKey}.hash(hash)) }

// Quotes goes through all quotes, by hash.
func (tx *Tx) Quotes() iter.Seq2[Quote, error] { return records[Quote](tx, key{quoteKey}, nil) }

// Lease gives the lease with this hash in which this node has the role.
func (tx *Tx) Lease(role Role, hash market.Hash) (Lease, error) {
	k, err := roleHashKey(leaseKey, role, hash)
	return get[Lease](tx, k, err)
}

// PutLease writes a lease over the one with its role and hash.
func (tx *Tx) PutLease(l Lease) error {
	k, err := roleHashKey(leaseKey, l.Role, l.Hash)
	if err != nil {
		return tx.fail(err)
	}
	old, err := get[Lease](tx, k, nil)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return tx.fail(err)
	}
	if err := tx.reindex(old, l); err != nil {
		return err
	}
	return tx.store(k, &l)
}

// Leases goes through all leases of a role, newest first.
func (tx *Tx) Leases(role Role) iter.Seq2[Lease, error] {
	k, err := roleKey(leaseByAge, role)
	return indexed(tx, k, roleKeyOverhead+ageLen+hashLen, err, func(k key) (Lease, error) {
		return tx.Lease(role, lastHash(k))
	})
}

// LiveLeases goes through the leases of a role that are quoted or live, by
// hash. It costs nothing for those that have ended.
func (tx *Tx) LiveLeases(role Role) iter.Seq2[Lease, error] {
	k, err := roleKey(leaseLive, role)
	return indexed(tx, k, roleKeyOverhead+hashLen, err, func(k key) (Lease, error) {
		return tx.Lease(role, lastHash(k))
	})
}

// ChannelLeases goes through the hashes of a channel's leases, by hash.
func (tx *Tx) ChannelLeases(role Role, channel market.Hash) iter.Seq2[market.Hash, error] {
	k, err := roleHashKey(leaseByChannel, role, channel)
	return indexed(tx, k, roleKeyOverhead+2*hashLen, err, func(k key) (market.Hash, error) {
		return lastHash(k), nil
	})
}

func indexKeys(l Lease) []key {
	role, err := roleKey(0, l.Role)
	if err != nil {
		return nil // PutLease let none in
	}
	kind := func(b byte) key { return key{b, role[1]} }
	keys := []key{
		kind(leaseByAge).uint64(^l.Created).hash(l.Hash),
		kind(leaseByChannel).hash(l.Channel).hash(l.Hash),
	}
	if l.State == market.Quoted || l.State.Live() {
		keys = append(keys, kind(leaseLive).hash(l.Hash))
	}
	return keys
}

// reindex writes the index entries in which a lease differs from what it was;
// most writes change none.
func (tx *Tx) reindex(old, l Lease) error {
	var before []key
	if old.Role != "" {
		before = indexKeys(old)
	}
	after := indexKeys(l)
	for _, k := range before {
		if !holds(after, k) {
			if err := tx.remove(k); err != nil {
				return tx.fail(err)
			}
		}
	}
	for _, k := range after {
		if !holds(before, k) {
			if err := tx.store(k, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func holds(keys []key, k key) bool {
	return slices.ContainsFunc(keys, func(other key) bool { return bytes.Equal(other, k) })
}

// Receipt gives one receipt of a lease.
func (tx *Tx) Receipt(role Role, lease market.Hash, seq uint32) (Receipt, error) {
	k, err := roleHashKey(receiptKey, role, lease)
	return get[Receipt](tx, k.uint32(seq), err)
}

// PutReceipt writes a receipt over the one with its lease and number.
func (tx *Tx) PutReceipt(role Role, r Receipt) error {
	k, err := roleHashKey(receiptKey, role, r.Lease)
	return tx.put(k.uint32(r.Seq), err, &r)
}

// Receipts goes through a lease's receipts in order.
func (tx *Tx) Receipts(role Role, lease market.Hash) iter.Seq2[Receipt, error] {
	k, err := roleHashKey(receiptKey, role, lease)
	return records[Receipt](tx, k, err)
}
