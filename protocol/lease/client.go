package lease

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// ErrDishonest is an answer that no correct provider gives: a signature that
// isn't its own, or a document that is not the one asked for.
var ErrDishonest = errors.New("the provider's answer doesn't check")

// Ask asks a provider for a quote. now is the client's clock in Unix ms.
func Ask(ctx context.Context, h host.Host, p peer.ID, parties Parties, request []byte, cfg market.ChannelConfig, now uint64) (Quoted, error) {
	m := &pb.QuoteRequest{
		Request: request, ChainId: parties.Chain.ID, Contract: parties.Chain.Contract[:],
		Payer: cfg.Payer[:], Token: cfg.Token[:], Salt: cfg.Salt[:], Now: now,
	}
	a, err := exchange(ctx, h, p, &pb.LeaseRequest{Request: &pb.LeaseRequest_Quote{Quote: m}})
	if err != nil {
		return Quoted{}, err
	}
	if a.GetQuote() == nil {
		return Quoted{}, fmt.Errorf("%w: no quote in it", ErrDishonest)
	}
	q, err := ReadQuoted(a.GetQuote().GetQuote(), a.GetQuote().GetSignature(), a.GetQuote().GetTerms(), a.GetQuote().GetChannelConfig(), parties)
	if err != nil {
		return Quoted{}, fmt.Errorf("%w: %w", ErrDishonest, err)
	}
	if q.Quote.RequestHash != market.BlockHash(request) || q.Config != cfg {
		return Quoted{}, fmt.Errorf("%w: the quote is for another request or channel", ErrDishonest)
	}
	q.SignedAt = a.GetQuote().GetNow()
	return q, nil
}

// Accept sends an acceptance and returns the provider's signature on the lease.
func Accept(ctx context.Context, h host.Host, p peer.ID, parties Parties, a Accepted) (market.Signature, error) {
	m := &pb.Accept{
		Quote: a.Block, QuoteSignature: a.Signature[:], Terms: a.TermBlock, Lease: a.LeaseBlock, ClientSignature: a.ClientSignature[:],
		ChannelConfig: a.Config.Encode(), Job: a.JobBlock,
	}
	if a.Voucher != nil {
		m.Voucher = &pb.Voucher{Voucher: a.Voucher.Encode(), Signature: a.VoucherSignature[:]}
	}
	ans, err := exchange(ctx, h, p, &pb.LeaseRequest{Request: &pb.LeaseRequest_Accept{Accept: m}})
	if err != nil {
		return market.Signature{}, err
	}
	sig, err := market.SignatureFrom(ans.GetLease().GetProviderSignature())
	if err == nil {
		err = sig.Verify(parties.Chain.Digest(a.Lease.Hash()), parties.Provider)
	}
	if err != nil {
		return market.Signature{}, fmt.Errorf("%w: %w", ErrDishonest, err)
	}
	return sig, nil
}

func exchange(ctx context.Context, h host.Host, p peer.ID, q *pb.LeaseRequest) (*pb.LeaseAnswer, error) {
	var a pb.LeaseAnswer
	if err := wire.Ask(ctx, h, p, wire.LeaseProtocol, q, &a, wire.MaxControl); err != nil {
		return nil, err
	}
	if r := a.GetRefusal(); r != nil {
		return nil, wire.FromProto(r)
	}
	return &a, nil
}
