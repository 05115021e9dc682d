package client

import (
	"errors"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// account is a channel with what bounds its voucher, leaving one lease's part
// out. It reads the leases that live; the others are summed up in the channel.
func (e *Engine) account(tx *ledger.Tx, ch ledger.Channel, except market.Hash) (books.Account, error) {
	a := books.Account{Channel: ch, Caps: e.cfg.Caps}
	for l, err := range tx.LiveLeases(ledger.Client) {
		if err != nil {
			return a, err
		}
		if l.Channel == ch.ID && l.Hash != except {
			a.Others = a.Others.Add(l.Paid)
		}
	}
	for other, err := range tx.Channels(ledger.Client) {
		if err != nil {
			return a, err
		}
		if other.ID != ch.ID {
			a.Elsewhere = a.Elsewhere.Add(other.Voucher.Sub(other.Due))
		}
	}
	return a, nil
}

// capped makes a refusal of a voucher that would be over a cap in money.
func capped(err error) error {
	var over *books.OverCap
	if errors.As(err, &over) {
		return wire.Refuse(wire.Credit, "%v", over)
	}
	return err
}

// voucherProto is the channel's highest voucher as it travels, nil while there is none.
func voucherProto(ch ledger.Channel) *pb.Voucher {
	if len(ch.Signature) == 0 {
		return nil
	}
	return &pb.Voucher{Voucher: market.Voucher{Channel: ch.ID, Max: ch.Voucher}.Encode(), Signature: ch.Signature}
}
