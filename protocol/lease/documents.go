// Package lease is /souk/lease/1.0.0: a request is answered by a quote, an
// accepted quote becomes a lease.
//
// It promises that what reaches a Provider or comes back from Ask and Accept
// has been checked as far as that can be done without any state: encodings,
// hashes, signatures, who the parties are, which channel. Whether a quote is
// still open, there is room, or a voucher is high enough, is its user's to say.
package lease

import (
	"errors"
	"fmt"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// Parties is who may trade here, and where vouchers settle.
type Parties struct {
	Chain    market.Chain
	Provider market.Address
	Client   market.Address
}

// Asked is a client's request for a quote, checked.
type Asked struct {
	Request  market.Request
	Block    []byte // of the request
	Config   market.ChannelConfig
	Channel  market.Hash
	ClientAt uint64 // Unix ms on the client's clock
}

// Quoted is a signed quote with what it stands on, checked.
type Quoted struct {
	Quote     market.Quote
	Block     []byte
	Signature market.Signature
	Terms     market.Terms
	TermBlock []byte
	Config    market.ChannelConfig
	SignedAt  uint64 // Unix ms on the provider's clock
}

// Accepted is a client's acceptance with everything it stands on, checked.
type Accepted struct {
	Quoted
	Lease            market.Lease
	LeaseBlock       []byte
	ClientSignature  market.Signature
	Job              market.Job
	JobBlock         []byte
	Voucher          *market.Voucher // nil on a lease of price 0
	VoucherSignature market.Signature
}

// NewConfig is the channel between two peers where there is no chain:
// the node addresses are payer and receiver, and nothing is ever withdrawn.
func NewConfig(p Parties, token market.Address, salt market.Hash) market.ChannelConfig {
	return market.ChannelConfig{
		Payer: p.Client, PayerAuthorizer: p.Client, Receiver: p.Provider, ReceiverAuthorizer: p.Provider, Token: token, Salt: salt,
	}
}

func readAsked(m *pb.QuoteRequest, p Parties) (Asked, error) {
	req, err := market.DecodeRequest(m.GetRequest())
	if err != nil {
		return Asked{}, err
	}
	contract, err := market.AddressFrom(m.GetContract())
	if err != nil {
		return Asked{}, err
	}
	if (market.Chain{ID: m.GetChainId(), Contract: contract}) != p.Chain {
		return Asked{}, wire.Refuse(wire.NoMatch, "no settlement on chain %d here", m.GetChainId()).Near("this provider settles on chain %d", p.Chain.ID)
	}
	payer, err1 := market.AddressFrom(m.GetPayer())
	token, err2 := market.AddressFrom(m.GetToken())
	salt, err3 := market.HashFrom(m.GetSalt())
	if err := errors.Join(err1, err2, err3); err != nil {
		return Asked{}, err
	}
	cfg := NewConfig(p, token, salt)
	if cfg.Payer = payer; payer != p.Client && p.Chain.ID == 0 {
		return Asked{}, fmt.Errorf("payer %s isn't the client, and there is no chain", payer)
	}
	return Asked{Request: req, Block: m.GetRequest(), Config: cfg, Channel: p.Chain.ChannelID(cfg), ClientAt: m.GetNow()}, nil
}

// readQuoted checks a quote, its signature, terms and channel.
func readQuoted(block, signature, terms, config []byte, p Parties) (q Quoted, err error) {
	if q.Quote, err = market.DecodeQuote(block); err != nil {
		return q, err
	}
	if q.Signature, err = market.SignatureFrom(signature); err != nil {
		return q, err
	}
	if err = q.Signature.Verify(p.Chain.Digest(q.Quote.Hash()), p.Provider); err != nil {
		return q, err
	}
	if err = q.Quote.Validate(); err != nil {
		return q, err
	}
	if q.Quote.Provider != p.Provider || q.Quote.Client != p.Client {
		return q, fmt.Errorf("the quote is between %s and %s, not these two peers", q.Quote.Provider, q.Quote.Client)
	}
	if q.Terms, err = market.DecodeTerms(terms); err != nil {
		return q, err
	}
	if market.BlockHash(terms) != q.Quote.TermsHash {
		return q, errors.New("the terms aren't those that the quote names")
	}
	if q.Config, err = market.DecodeChannelConfig(config); err != nil {
		return q, err
	}
	if p.Chain.ChannelID(q.Config) != q.Quote.Channel || q.Config.PayerAuthorizer != p.Client || q.Config.ReceiverAuthorizer != p.Provider {
		return q, errors.New("the channel isn't the one between these two peers that the quote names")
	}
	q.Block, q.TermBlock = block, terms
	return q, nil
}

func readAccepted(m *pb.Accept, p Parties) (Accepted, error) {
	q, err := readQuoted(m.GetQuote(), m.GetQuoteSignature(), m.GetTerms(), m.GetChannelConfig(), p)
	if err != nil {
		return Accepted{}, err
	}
	a := Accepted{Quoted: q, LeaseBlock: m.GetLease(), JobBlock: m.GetJob()}
	if a.Lease, err = market.DecodeLease(m.GetLease()); err != nil {
		return Accepted{}, err
	}
	if a.Job, err = market.DecodeJob(m.GetJob()); err != nil {
		return Accepted{}, err
	}
	if a.Lease.QuoteHash != q.Quote.Hash() || a.Lease.JobHash != market.BlockHash(m.GetJob()) {
		return Accepted{}, errors.New("the lease isn't for this quote and job")
	}
	if a.ClientSignature, err = market.SignatureFrom(m.GetClientSignature()); err != nil {
		return Accepted{}, err
	}
	if err := a.ClientSignature.Verify(p.Chain.Digest(a.Lease.Hash()), p.Client); err != nil {
		return Accepted{}, err
	}
	if m.GetVoucher() == nil {
		return a, nil
	}
	v, sig, err := ReadVoucher(m.GetVoucher(), p, q.Quote.Channel)
	a.Voucher, a.VoucherSignature = &v, sig
	return a, err
}

// ReadVoucher checks that a voucher is the client's, for that channel.
func ReadVoucher(m *pb.Voucher, p Parties, channel market.Hash) (market.Voucher, market.Signature, error) {
	v, err := market.DecodeVoucher(m.GetVoucher())
	if err != nil {
		return v, market.Signature{}, err
	}
	sig, err := market.SignatureFrom(m.GetSignature())
	if err != nil {
		return v, sig, err
	}
	if v.Channel != channel {
		return v, sig, errors.New("the voucher is for another channel")
	}
	return v, sig, sig.Verify(p.Chain.VoucherDigest(v), p.Client)
}

// ReadDocuments checks a lease as the other side holds it: the quote, its
// terms and channel, and both signatures on the lease.
func ReadDocuments(m *pb.LeaseDocuments, p Parties, channel market.Hash) (q Quoted, l market.Lease, err error) {
	if q.Quote, err = market.DecodeQuote(m.GetQuote()); err != nil {
		return q, l, err
	}
	if q.Signature, err = market.SignatureFrom(m.GetQuoteSignature()); err != nil {
		return q, l, err
	}
	q.Block, q.TermBlock = m.GetQuote(), m.GetTerms()
	if q.Quote.Channel != channel || q.Quote.Provider != p.Provider || q.Quote.Client != p.Client {
		return q, l, errors.New("the quote isn't of this channel and these peers")
	}
	if market.BlockHash(m.GetTerms()) != q.Quote.TermsHash {
		return q, l, errors.New("the terms aren't those that the quote names")
	}
	if l, err = market.DecodeLease(m.GetLease()); err != nil {
		return q, l, err
	}
	if l.QuoteHash != q.Quote.Hash() || l.JobHash != market.BlockHash(m.GetJob()) {
		return q, l, errors.New("the lease isn't for this quote and job")
	}
	digest := p.Chain.Digest(l.Hash())
	return q, l, errors.Join(
		q.Signature.Verify(p.Chain.Digest(q.Quote.Hash()), p.Provider),
		verifies(m.GetClientSignature(), digest, p.Client), verifies(m.GetProviderSignature(), digest, p.Provider))
}

// ReadReceipt checks a receipt's encoding, its body's hash and the provider's
// signature; a client's signature must be good where there is one.
func ReadReceipt(m *pb.Receipt, p Parties) (r market.Receipt, sig market.Signature, err error) {
	if r, err = market.DecodeReceipt(m.GetReceipt()); err != nil {
		return r, sig, err
	}
	if sig, err = market.SignatureFrom(m.GetProviderSignature()); err != nil {
		return r, sig, err
	}
	if market.BlockHash(m.GetBody()) != r.BodyHash {
		return r, sig, errors.New("the body isn't the one that the receipt names")
	}
	digest := p.Chain.Digest(r.Hash())
	if err = sig.Verify(digest, p.Provider); err == nil && len(m.GetClientSignature()) > 0 {
		err = verifies(m.GetClientSignature(), digest, p.Client)
	}
	return r, sig, err
}

func verifies(sig []byte, digest market.Hash, who market.Address) error {
	s, err := market.SignatureFrom(sig)
	if err != nil {
		return err
	}
	return s.Verify(digest, who)
}
