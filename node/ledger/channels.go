package ledger

import (
	"errors"
	"iter"

	"souk/protocol/market"
)

// Channel gives the channel with this ID in which this node has the role.
func (tx *Tx) Channel(role Role, id market.Hash) (Channel, error) {
	k, err := roleHashKey(channelKey, role, id)
	return get[Channel](tx, k, err)
}

// PutChannel writes a channel over the one with its role and ID. It leaves the
// stored Vouchers as it is: AddVoucher alone counts them, or a copy read
// before it could overwrite history.
func (tx *Tx) PutChannel(c Channel) error {
	old, err := tx.Channel(c.Role, c.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return tx.fail(err)
	}
	c.Vouchers = old.Vouchers
	if err := tx.shiftAhead(c.Role, old.ahead(), c.ahead()); err != nil {
		return tx.fail(err)
	}
	return tx.putChannel(c)
}

func (tx *Tx) putChannel(c Channel) error {
	k, err := roleHashKey(channelKey, c.Role, c.ID)
	return tx.put(k, err, &c)
}

// ahead is what the voucher says above what is due.
func (c Channel) ahead() market.Amount { return c.Voucher.Sub(c.Due) }

// Ahead is what all vouchers of a role's channels together say above what is
// due: the sum is kept, so that nobody has to go through all channels for it.
func (tx *Tx) Ahead(role Role) (market.Amount, error) {
	k, err := roleKey(aheadKey, role)
	sum, err := get[sum](tx, k, err)
	if !errors.Is(err, ErrNotFound) {
		return market.Amount(sum), err
	}
	var all market.Amount // the books are of before it was kept
	for c, err := range tx.Channels(role) {
		if err != nil {
			return all, err
		}
		all = all.Add(c.ahead())
	}
	return all, nil
}

// shiftAhead keeps the sum that Ahead gives, as a channel's part of it changes.
func (tx *Tx) shiftAhead(role Role, before, after market.Amount) error {
	if before == after {
		return nil
	}
	all, err := tx.Ahead(role)
	if err != nil {
		return err
	}
	k, err := roleKey(aheadKey, role)
	all = all.Sub(before).Add(after)
	return tx.put(k, err, (*sum)(&all))
}

// Channels goes through all channels of a role, by ID.
func (tx *Tx) Channels(role Role) iter.Seq2[Channel, error] {
	k, err := roleKey(channelKey, role)
	return records[Channel](tx, k, err)
}

// AddVoucher appends a voucher to its channel's history and counts it there.
// The channel must be in the ledger (ErrNotFound); its other fields are left
// as they are.
func (tx *Tx) AddVoucher(role Role, v Voucher) error {
	c, err := tx.Channel(role, v.Channel)
	if errors.Is(err, ErrNotFound) {
		return err
	}
	if err != nil {
		return tx.fail(err)
	}
	k, err := roleHashKey(voucherKey, role, v.Channel)
	if err := tx.put(k.uint64(c.Vouchers), err, &v); err != nil {
		return err
	}
	c.Vouchers++
	return tx.putChannel(c)
}

// Vouchers goes through a channel's vouchers in the order of AddVoucher.
func (tx *Tx) Vouchers(role Role, channel market.Hash) iter.Seq2[Voucher, error] {
	k, err := roleHashKey(voucherKey, role, channel)
	return records[Voucher](tx, k, err)
}
