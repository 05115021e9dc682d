package client

import (
	"errors"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// account is a channel, as it is in the books, with what bounds its voucher,
// leaving out the part of a lease as it is there; the zero lease is in none.
func (e *Engine) account(tx *ledger.Tx, ch ledger.Channel, except ledger.Lease) (books.Account, error) {
	a := books.Account{Channel: ch, Caps: e.cfg.Caps, Others: books.Beside(ch, except)}
	all, err := tx.Ahead(ledger.Client)
	a.Elsewhere = all.Sub(ch.Voucher.Sub(ch.Due))
	return a, err
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
