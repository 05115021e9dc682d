package lease

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/internal/fuzztest"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// FuzzQuoteRequest reads any bytes as what a client asks a provider.
func FuzzQuoteRequest(f *testing.F) {
	p := newPair(f)
	contract := p.parties.Chain.Contract
	seed, err := proto.Marshal(&pb.QuoteRequest{
		Request: block(f, p.request), Contract: contract[:], Payer: p.parties.Client[:], Token: make([]byte, 20), Salt: make([]byte, 32), Now: 1,
	})
	require.NoError(f, err)
	f.Add(seed)
	f.Add(seed[:len(seed)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		var m pb.QuoteRequest
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		a, err := ReadAsked(&m, p.parties)
		if err == nil && (a.Channel != p.parties.Chain.ChannelID(a.Config) || a.Config.PayerAuthorizer != p.parties.Client) {
			t.Fatal("a channel of somebody else")
		}
	})
}

// FuzzQuote reads any bytes as what a provider answers.
func FuzzQuote(f *testing.F) {
	p := newPair(f)
	d := p.documents()
	seed, err := proto.Marshal(&pb.Quote{Quote: d.GetQuote(), Signature: d.GetQuoteSignature(), Terms: d.GetTerms(), ChannelConfig: p.config.Encode()})
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		var m pb.Quote
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		if q, err := ReadQuoted(m.GetQuote(), m.GetSignature(), m.GetTerms(), m.GetChannelConfig(), p.parties); err == nil && q.Quote != p.quote {
			t.Fatal("a quote that nobody signed")
		}
	})
}

// FuzzDocuments reads any bytes as what the other side says that it holds.
func FuzzDocuments(f *testing.F) {
	p := newPair(f)
	seed, err := proto.Marshal(&pb.ChannelStatus{BootId: make([]byte, 16), Leases: []*pb.LeaseDocuments{p.documents(), {}}, Voucher: &pb.Voucher{}})
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte{0x1a, 0x00, 0x1a, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		var m pb.ChannelStatus
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		channel := p.quote.Channel
		if v, _, err := ReadVoucher(m.GetVoucher(), p.parties, channel); err == nil && v != p.voucher {
			t.Fatal("a voucher that nobody signed")
		}
		for _, d := range m.GetLeases() {
			if _, l, err := ReadDocuments(d, p.parties, channel); err == nil && l != p.lease {
				t.Fatal("a lease that nobody signed")
			}
			if r, _, err := ReadReceipt(d.GetReceipt(), p.parties); err == nil && r.Lease != (market.Hash{}) {
				t.Fatal("a receipt that nobody signed")
			}
		}
	})
}
