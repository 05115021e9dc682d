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

// Reasons why a document that is signed as it should be is refused. The others
// are package market's: ErrEncoding, ErrLength, ErrSignature and ErrInvalid.
var (
	ErrParties = errors.New("a document isn't between these two peers")
	ErrChannel = errors.New("a document is for another channel than that of these two peers")
	ErrHash    = errors.New("a document isn't the one that another one names")
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

// ReadAsked checks what a client asks a provider. A *wire.Refusal asks for a
// chain that this provider doesn't settle on.
func ReadAsked(m *pb.QuoteRequest, p Parties) (Asked, error) {
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
		return Asked{}, fmt.Errorf("%w: payer %s isn't the client, and there is no chain", ErrParties, payer)
	}
	return Asked{Request: req, Block: m.GetRequest(), Config: cfg, Channel: p.Chain.ChannelID(cfg), ClientAt: m.GetNow()}, nil
}

// ReadQuoted checks a quote, its signature, terms and channel.
func ReadQuoted(block, signature, terms, config []byte, p Parties) (q Quoted, err error) {
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
		return q, fmt.Errorf("%w: the quote is between %s and %s", ErrParties, q.Quote.Provider, q.Quote.Client)
	}
	if q.Terms, err = market.DecodeTerms(terms); err != nil {
		return q, err
	}
	if market.BlockHash(terms) != q.Quote.TermsHash {
		return q, fmt.Errorf("%w: the terms aren't the quote's", ErrHash)
	}
	if q.Config, err = market.DecodeChannelConfig(config); err != nil {
		return q, err
	}
	if p.Chain.ChannelID(q.Config) != q.Quote.Channel || q.Config.PayerAuthorizer != p.Client || q.Config.ReceiverAuthorizer != p.Provider {
		return q, fmt.Errorf("%w: the quote names %s", ErrChannel, q.Quote.Channel)
	}
	q.Block, q.TermBlock = block, terms
	return q, nil
}

// ReadAccepted checks an acceptance and everything that it stands on.
func ReadAccepted(m *pb.Accept, p Parties) (Accepted, error) {
	q, err := ReadQuoted(m.GetQuote(), m.GetQuoteSignature(), m.GetTerms(), m.GetChannelConfig(), p)
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
		return Accepted{}, fmt.Errorf("%w: the lease is for another quote or job", ErrHash)
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
		return v, sig, fmt.Errorf("%w: the voucher names %s", ErrChannel, v.Channel)
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
	if q.Quote.Channel != channel {
		return q, l, fmt.Errorf("%w: the quote names %s", ErrChannel, q.Quote.Channel)
	}
	if q.Quote.Provider != p.Provider || q.Quote.Client != p.Client {
		return q, l, fmt.Errorf("%w: the quote is between %s and %s", ErrParties, q.Quote.Provider, q.Quote.Client)
	}
	if market.BlockHash(m.GetTerms()) != q.Quote.TermsHash {
		return q, l, fmt.Errorf("%w: the terms aren't the quote's", ErrHash)
	}
	if l, err = market.DecodeLease(m.GetLease()); err != nil {
		return q, l, err
	}
	if l.QuoteHash != q.Quote.Hash() || l.JobHash != market.BlockHash(m.GetJob()) {
		return q, l, fmt.Errorf("%w: the lease is for another quote or job", ErrHash)
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
		return r, sig, fmt.Errorf("%w: the body isn't that of receipt %d", ErrHash, r.Seq)
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
