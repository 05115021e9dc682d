package lease

import (
	"crypto/rand"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"souk/internal/fuzztest"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newSigner(t testing.TB) *market.Signer {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	s, err := market.NewSigner(key)
	require.NoError(t, err)
	return s
}

// pair is two peers that trade, and the documents of one lease of theirs.
type pair struct {
	t                testing.TB
	provider, client *market.Signer
	parties          Parties
	config           market.ChannelConfig
	request          market.Request
	terms            market.Terms
	quote            market.Quote
	job              market.Job
	lease            market.Lease
	voucher          market.Voucher
}

func newPair(t testing.TB) *pair {
	p := &pair{t: t, provider: newSigner(t), client: newSigner(t)}
	p.parties = Parties{Chain: market.NoChain("test"), Provider: p.provider.Address(), Client: p.client.Address()}
	p.config = NewConfig(p.parties, market.Address{}, market.Hash{1})
	p.request = market.Request{Network: "test", Executor: "wasm", CPU: 1, Memory: 1 << 20, Disk: 1 << 20, MaxMillis: 60_000}
	p.terms = market.Terms{Network: "test", CPU: 1, Memory: 1 << 20, Disk: 1 << 20, Executor: "wasm", Unit: "ms", PrepayTicks: 1}
	p.job = market.Job{WASM: cid.MustParse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")}
	p.rebuild()
	return p
}

func block[T interface{ Encode() ([]byte, error) }](t testing.TB, d T) []byte {
	b, err := d.Encode()
	require.NoError(t, err)
	return b
}

// rebuild makes the documents agree with one another.
func (p *pair) rebuild() {
	p.quote = market.Quote{
		RequestHash: market.BlockHash(block(p.t, p.request)), TermsHash: market.BlockHash(block(p.t, p.terms)), Provider: p.parties.Provider,
		Client: p.parties.Client, Channel: p.parties.Chain.ChannelID(p.config), TickUnits: 60_000, TickPrice: market.NewAmount(10), MaxTicks: 1,
		MaxMillis: 60_000, StartBy: 2, ExpiresAt: 1,
	}
	p.agree()
}

func (p *pair) agree() {
	p.lease = market.Lease{QuoteHash: p.quote.Hash(), JobHash: market.BlockHash(block(p.t, p.job))}
	p.voucher = market.Voucher{Channel: p.quote.Channel, Max: market.NewAmount(10)}
}

func (p *pair) sign(by *market.Signer, digest market.Hash) []byte {
	sig, err := by.Sign(digest)
	require.NoError(p.t, err)
	return sig[:]
}

func (p *pair) ask() *pb.QuoteRequest {
	return &pb.QuoteRequest{
		Request: block(p.t, p.request), ChainId: p.parties.Chain.ID, Contract: p.parties.Chain.Contract[:],
		Payer: p.config.Payer[:], Token: p.config.Token[:], Salt: p.config.Salt[:], Now: 5,
	}
}

func (p *pair) accept() *pb.Accept {
	c := p.parties.Chain
	return &pb.Accept{
		Quote: p.quote.Encode(), QuoteSignature: p.sign(p.provider, c.Digest(p.quote.Hash())), Terms: block(p.t, p.terms), Lease: p.lease.Encode(),
		ClientSignature: p.sign(p.client, c.Digest(p.lease.Hash())), ChannelConfig: p.config.Encode(), Job: block(p.t, p.job),
		Voucher: &pb.Voucher{Voucher: p.voucher.Encode(), Signature: p.sign(p.client, c.VoucherDigest(p.voucher))},
	}
}

func TestWhatAgreesIsRead(t *testing.T) {
	p := newPair(t)
	asked, err := ReadAsked(p.ask(), p.parties)
	require.NoError(t, err)
	require.Equal(t, p.config, asked.Config)
	require.Equal(t, p.quote.Channel, asked.Channel)
	a, err := ReadAccepted(p.accept(), p.parties)
	require.NoError(t, err)
	require.Equal(t, p.lease, a.Lease)
	require.Equal(t, p.voucher, *a.Voucher)
	free := p.accept()
	free.Voucher = nil
	a, err = ReadAccepted(free, p.parties)
	require.NoError(t, err)
	require.Nil(t, a.Voucher)
}

func TestAnAskThatDoesNotAgreeIsRefused(t *testing.T) {
	for name, change := range map[string]func(*pb.QuoteRequest){
		"no request":       func(m *pb.QuoteRequest) { m.Request = nil },
		"not canonical":    func(m *pb.QuoteRequest) { m.Request = append([]byte(" "), m.Request...) },
		"a short contract": func(m *pb.QuoteRequest) { m.Contract = m.Contract[1:] },
		"a short payer":    func(m *pb.QuoteRequest) { m.Payer = m.Payer[1:] },
		"a short token":    func(m *pb.QuoteRequest) { m.Token = m.Token[1:] },
		"a long salt":      func(m *pb.QuoteRequest) { m.Salt = append(m.Salt, 0) },
		"another's money":  func(m *pb.QuoteRequest) { m.Payer = make([]byte, 20) },
	} {
		p := newPair(t)
		m := p.ask()
		change(m)
		_, err := ReadAsked(m, p.parties)
		require.ErrorIs(t, fault(err), wire.ErrMalformed, name)
	}
	p := newPair(t)
	m := p.ask()
	m.ChainId++
	_, err := ReadAsked(m, p.parties)
	require.True(t, wire.IsCode(fault(err), wire.NoMatch), "another chain is no fault")
}

func TestAnAcceptThatDoesNotAgreeIsRefused(t *testing.T) {
	stranger := newSigner(t)
	type fixture = func(*pair, *pb.Accept)
	for name, change := range map[string]fixture{
		"no quote":          func(_ *pair, m *pb.Accept) { m.Quote = nil },
		"a quote's tail":    func(_ *pair, m *pb.Accept) { m.Quote = append(m.Quote, 0) },
		"a short signature": func(_ *pair, m *pb.Accept) { m.QuoteSignature = m.QuoteSignature[1:] },
		"a quote of another": func(p *pair, m *pb.Accept) {
			m.QuoteSignature = p.sign(stranger, p.parties.Chain.Digest(p.quote.Hash()))
		},
		"signed for another": func(p *pair, m *pb.Accept) {
			m.QuoteSignature = p.sign(p.provider, market.NoChain("souk").Digest(p.quote.Hash()))
		},
		"other terms":             func(p *pair, m *pb.Accept) { p.terms.CPU++; m.Terms = block(p.t, p.terms) },
		"no terms":                func(_ *pair, m *pb.Accept) { m.Terms = nil },
		"another channel":         func(p *pair, m *pb.Accept) { p.config.Salt[0]++; m.ChannelConfig = p.config.Encode() },
		"no channel":              func(_ *pair, m *pb.Accept) { m.ChannelConfig = nil },
		"no lease":                func(_ *pair, m *pb.Accept) { m.Lease = nil },
		"a lease of another job":  func(p *pair, m *pb.Accept) { p.lease.JobHash[0]++; m.Lease = p.lease.Encode() },
		"a lease of other quotes": func(p *pair, m *pb.Accept) { p.lease.QuoteHash[0]++; m.Lease = p.lease.Encode() },
		"another job":             func(p *pair, m *pb.Accept) { p.job.Name = "x"; m.Job = block(p.t, p.job) },
		"no job":                  func(_ *pair, m *pb.Accept) { m.Job = nil },
		"signed by another": func(p *pair, m *pb.Accept) {
			m.ClientSignature = p.sign(stranger, p.parties.Chain.Digest(p.lease.Hash()))
		},
		"not signed":       func(_ *pair, m *pb.Accept) { m.ClientSignature = nil },
		"an empty voucher": func(_ *pair, m *pb.Accept) { m.Voucher = &pb.Voucher{} },
		"a stranger's voucher": func(p *pair, m *pb.Accept) {
			m.Voucher.Signature = p.sign(stranger, p.parties.Chain.VoucherDigest(p.voucher))
		},
		"a voucher for another channel": func(p *pair, m *pb.Accept) {
			p.voucher.Channel[0]++
			m.Voucher = &pb.Voucher{Voucher: p.voucher.Encode(), Signature: p.sign(p.client, p.parties.Chain.VoucherDigest(p.voucher))}
		},
	} {
		p := newPair(t)
		m := p.accept()
		change(p, m)
		_, err := ReadAccepted(m, p.parties)
		require.ErrorIs(t, fault(err), wire.ErrMalformed, name)
	}
}

func TestSignedQuotesWithBadFiguresAreRefused(t *testing.T) {
	stranger := newSigner(t)
	for name, change := range map[string]func(*market.Quote){
		"another client":   func(q *market.Quote) { q.Client = stranger.Address() },
		"another provider": func(q *market.Quote) { q.Provider = stranger.Address() },
		"no ticks":         func(q *market.Quote) { q.MaxTicks = 0 },
		"2^128 in all":     func(q *market.Quote) { q.TickPrice = q.TickPrice.Times(1 << 62).Times(1 << 62); q.MaxTicks = 1 << 31 },
		"a tick of 1 ms":   func(q *market.Quote) { q.TickUnits = 1 },
		"started too soon": func(q *market.Quote) { q.StartBy = 0 },
		"a year":           func(q *market.Quote) { q.MaxMillis = 365 * 24 * 3600_000 },
	} {
		p := newPair(t)
		change(&p.quote)
		p.agree()
		_, err := ReadAccepted(p.accept(), p.parties)
		require.ErrorIs(t, fault(err), wire.ErrMalformed, name)
	}
}

func (p *pair) documents() *pb.LeaseDocuments {
	a := p.accept()
	return &pb.LeaseDocuments{
		Quote: a.Quote, QuoteSignature: a.QuoteSignature, Terms: a.Terms, Lease: a.Lease, ClientSignature: a.ClientSignature,
		ProviderSignature: p.sign(p.provider, p.parties.Chain.Digest(p.lease.Hash())), Job: a.Job,
	}
}

func TestDocumentsOfAnotherLeaseAreRefused(t *testing.T) {
	p := newPair(t)
	_, doc, err := ReadDocuments(p.documents(), p.parties, p.quote.Channel)
	require.NoError(t, err)
	require.Equal(t, p.lease, doc)
	_, _, err = ReadDocuments(p.documents(), p.parties, market.Hash{})
	require.Error(t, err, "another channel")
	for name, change := range map[string]func(*pb.LeaseDocuments){
		"client":   func(d *pb.LeaseDocuments) { d.ClientSignature = d.ProviderSignature },
		"provider": func(d *pb.LeaseDocuments) { d.ProviderSignature = d.ClientSignature },
		"quote":    func(d *pb.LeaseDocuments) { d.QuoteSignature = d.ClientSignature },
		"terms":    func(d *pb.LeaseDocuments) { d.Terms = d.Job },
		"job":      func(d *pb.LeaseDocuments) { d.Job = d.Terms },
		"lease":    func(d *pb.LeaseDocuments) { d.Lease = nil },
	} {
		d := p.documents()
		change(d)
		_, _, err := ReadDocuments(d, p.parties, p.quote.Channel)
		require.Error(t, err, name)
	}
}

func FuzzAccept(f *testing.F) {
	p := newPair(f)
	seed, err := proto.Marshal(p.accept())
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		var m pb.Accept
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		if a, err := ReadAccepted(&m, p.parties); err == nil && a.Lease != p.lease {
			t.Fatal("a lease that nobody signed")
		}
	})
}
