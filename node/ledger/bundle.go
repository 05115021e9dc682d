package ledger

import (
	"errors"

	"souk/protocol/market"
)

// Bundle is everything that there is about one lease, for whoever wants to
// check it without this ledger. ErrNotFound: its channel isn't here.
func (tx *Tx) Bundle(l Lease, network string) (market.Bundle, error) {
	ch, err := tx.Channel(l.Role, l.Channel)
	if err != nil {
		return market.Bundle{}, err
	}
	b := market.Bundle{
		Network: network, Chain: l.Chain, Request: l.Request, Terms: l.Terms, Job: l.Job, Quote: l.Quote, Lease: l.Block, ChannelConfig: ch.Config,
	}
	var errs [5]error
	b.QuoteSignature, errs[0] = signature(l.QuoteSignature)
	b.ClientSignature, errs[1] = signature(l.ClientSignature)
	b.ProviderSignature, errs[2] = signature(l.ProviderSignature)
	b.Receipts, errs[3] = tx.signedReceipts(l)
	b.Vouchers, errs[4] = tx.signedVouchers(l)
	if err := errors.Join(errs[:]...); err != nil {
		return market.Bundle{}, err
	}
	return b, nil
}

func (tx *Tx) signedReceipts(l Lease) (all []market.SignedReceipt, err error) {
	for r, err := range tx.Receipts(l.Role, l.Hash) {
		if err != nil {
			return nil, err
		}
		s, err := r.Signed()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Signed is the receipt as a bundle has it.
func (r Receipt) Signed() (market.SignedReceipt, error) {
	provider, err1 := signature(r.ProviderSignature)
	client, err2 := signature(r.ClientSignature)
	return market.SignedReceipt{Block: r.Block, Body: r.Body, Provider: provider, Client: client}, errors.Join(err1, err2)
}

func (tx *Tx) signedVouchers(l Lease) (all []market.SignedVoucher, err error) {
	for v, err := range tx.Vouchers(l.Role, l.Channel) {
		if err != nil {
			return nil, err
		}
		sig, err := signature(v.Signature)
		if err != nil {
			return nil, err
		}
		all = append(all, market.SignedVoucher{Block: v.Block, Signature: sig})
	}
	return all, nil
}

// signature reads what may be missing.
func signature(b []byte) (market.Signature, error) {
	if len(b) == 0 {
		return market.Signature{}, nil
	}
	return market.SignatureFrom(b)
}
