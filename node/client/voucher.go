package client

import (
	"errors"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// need is what a channel's voucher must cover: the sum of its leases' parts.
// It reads those that live; those of the others are summed up in the channel.
func need(tx *ledger.Tx, ch ledger.Channel) (sum market.Amount, err error) {
	sum = ch.Ended
	for l, err := range tx.LiveLeases(ledger.Client) {
		if err != nil {
			return sum, err
		}
		if l.Channel == ch.ID {
			sum = sum.Add(l.Paid)
		}
	}
	return sum, nil
}

// putLease writes a lease, and its channel where the sum of ended parts
// changes with it. Nobody else writes leases.
func putLease(tx *ledger.Tx, l ledger.Lease) error {
	old, err := tx.Lease(ledger.Client, l.Hash)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	if before, after := endedPart(old), endedPart(l); before != after {
		ch, err := tx.Channel(ledger.Client, l.Channel)
		if err != nil {
			return err
		}
		ch.Ended = ch.Ended.Add(after).Sub(before)
		if err := tx.PutChannel(ch); err != nil {
			return err
		}
	}
	return tx.PutLease(l)
}

func endedPart(l ledger.Lease) market.Amount {
	if l.State != market.Closed {
		return market.Amount{}
	}
	return l.Paid
}

// raise brings the channel's voucher up to what its leases need, signed and
// in the books, within the caps in money. It never lowers it. What the caller
// changed of ch is written too. Over a cap it is a *wire.Refusal with the code
// Credit, and nothing was written.
func (e *Engine) raise(tx *ledger.Tx, ch ledger.Channel) (ledger.Channel, error) {
	want, err := need(tx, ch)
	if err != nil {
		return ch, err
	}
	if !ch.Voucher.Less(want) {
		return ch, tx.PutChannel(ch)
	}
	if err := e.underCaps(tx, ch, want); err != nil {
		return ch, err
	}
	v := market.Voucher{Channel: ch.ID, Max: want}
	sig, err := e.signer.Sign(e.chain.VoucherDigest(v))
	if err != nil {
		return ch, err
	}
	if err := keepVoucher(tx, ch, v, sig, e.nowMillis()); err != nil {
		return ch, err
	}
	return tx.Channel(ledger.Client, ch.ID)
}

// keepVoucher writes a channel with a higher voucher, and that into its history.
func keepVoucher(tx *ledger.Tx, ch ledger.Channel, v market.Voucher, sig market.Signature, now uint64) error {
	ch.Voucher, ch.Signature = v.Max, sig[:]
	return errors.Join(
		tx.PutChannel(ch),
		tx.AddVoucher(ledger.Client, ledger.Voucher{Channel: ch.ID, Block: v.Encode(), Max: v.Max, Signature: sig[:], At: now}),
	)
}

// underCaps sees that what providers could keep beyond what was
// countersigned stays under the caps, were this channel's voucher want.
func (e *Engine) underCaps(tx *ledger.Tx, ch ledger.Channel, want market.Amount) error {
	here := want.Sub(ch.Due)
	if e.cfg.Caps.PerPeer.Less(here) {
		return wire.Refuse(wire.Credit, "this provider could keep %s, the cap for one peer is %s", usd(here), usd(e.cfg.Caps.PerPeer))
	}
	all := here
	for other, err := range tx.Channels(ledger.Client) {
		if err != nil {
			return err
		}
		if other.ID != ch.ID {
			all = all.Add(other.Voucher.Sub(other.Due))
		}
	}
	if e.cfg.Caps.InAll.Less(all) {
		return wire.Refuse(wire.Credit, "all providers together could keep %s, the cap is %s", usd(all), usd(e.cfg.Caps.InAll))
	}
	return nil
}

// voucherProto is the channel's highest voucher as it travels, nil while there is none.
func voucherProto(ch ledger.Channel) *pb.Voucher {
	if len(ch.Signature) == 0 {
		return nil
	}
	return &pb.Voucher{Voucher: market.Voucher{Channel: ch.ID, Max: ch.Voucher}.Encode(), Signature: ch.Signature}
}
