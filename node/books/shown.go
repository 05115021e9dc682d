package books

import (
	"fmt"

	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// Shown is a lease as the other side of its channel shows it, perhaps with a
// receipt of it. Every signature in it was checked.
type Shown struct {
	Quote   market.Quote
	Terms   market.Terms
	Lease   ledger.Lease // its documents: neither role nor state
	Receipt *market.Receipt
	Signed  ledger.Receipt // that receipt with its signatures
}

// ReadShown reads a lease that a peer shows of a channel, without its receipt.
func ReadShown(d *pb.LeaseDocuments, peer string, p leases.Parties, channel market.Hash) (s Shown, err error) {
	q, doc, err := leases.ReadDocuments(d, p, channel)
	if err != nil {
		return s, fmt.Errorf("lease: %w", err)
	}
	if s.Terms, err = market.DecodeTerms(q.TermBlock); err != nil {
		return s, err
	}
	s.Quote = q.Quote
	s.Lease = ledger.Lease{
		Hash: doc.Hash(), Peer: peer, Channel: channel, Chain: p.Chain,
		Quote: d.GetQuote(), QuoteSignature: d.GetQuoteSignature(), Terms: d.GetTerms(), Block: d.GetLease(),
		ClientSignature: d.GetClientSignature(), ProviderSignature: d.GetProviderSignature(), Job: d.GetJob(),
	}
	return s, nil
}

// With adds the receipt that was shown with the lease, if one was.
func (s Shown) With(m *pb.Receipt, p leases.Parties) (Shown, error) {
	if m == nil {
		return s, nil
	}
	r, sig, err := leases.ReadReceipt(m, p)
	if err != nil {
		return s, fmt.Errorf("receipt: %w", err)
	}
	s.Receipt = &r
	s.Signed = ledger.Receipt{
		Lease: r.Lease, Seq: r.Seq, Block: m.GetReceipt(), ProviderSignature: sig[:], ClientSignature: m.GetClientSignature(), Body: m.GetBody(),
	}
	return s, nil
}

// lacks tells whether the shown receipt is newer than a lease's newest one,
// and whether a countersignature on it is.
func (s Shown) lacks(l ledger.Lease) (newer, signed bool) {
	if s.Receipt == nil || s.Receipt.Lease != l.Hash {
		return false, false
	}
	return s.Receipt.Seq > l.Newest.Seq, len(s.Signed.ClientSignature) > 0 && s.Receipt.Seq > l.Countersigned.Seq
}
