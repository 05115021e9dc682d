package forgery

import (
	"bytes"

	"souk/node/books"
	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

func readAsked(w *world, m *pb.QuoteRequest) error {
	_, err := leases.ReadAsked(m, w.parties)
	return err
}

func askKinds() []kind {
	ask := func(name string, want refusal, change func(w *world, m *pb.QuoteRequest)) kind {
		return kind{"ask: " + name, want, func(w *world) error {
			m := w.ask()
			change(w, m)
			return readAsked(w, m)
		}}
	}
	return []kind{
		ask("cut", is(market.ErrEncoding), func(w *world, m *pb.QuoteRequest) { m.Request = w.cut(m.Request) }),
		ask("not canonical", is(market.ErrEncoding), func(_ *world, m *pb.QuoteRequest) { m.Request = append([]byte(" "), m.Request...) }),
		ask("for another document", is(market.ErrEncoding), func(w *world, m *pb.QuoteRequest) { m.Request = w.b.Terms }),
		ask("a short contract", is(market.ErrLength), func(w *world, m *pb.QuoteRequest) { m.Contract = w.cut(m.Contract) }),
		ask("a long salt", is(market.ErrLength), func(w *world, m *pb.QuoteRequest) { m.Salt = w.padded(m.Salt) }),
		ask("on another chain", func(err error) bool { return wire.IsCode(err, wire.NoMatch) }, func(w *world, m *pb.QuoteRequest) { m.ChainId = w.otherChain().ID }),
		{"ask: with another's money", is(leases.ErrParties), func(w *world) error {
			p, m := w.parties, w.ask()
			p.Chain = market.NoChain(w.b.Network)
			payer := w.stranger.Address()
			m.ChainId, m.Contract, m.Payer = p.Chain.ID, p.Chain.Contract[:], payer[:]
			_, err := leases.ReadAsked(m, p)
			return err
		}},
	}
}

// requote has a quote signed again after a change.
func requote(w *world, by *market.Signer, config []byte, change func(q *market.Quote)) error {
	q := w.quote
	change(&q)
	_, err := leases.ReadQuoted(q.Encode(), w.sign(by, q.Hash()), w.b.Terms, config, w.parties)
	return err
}

func quoteKinds() []kind {
	read := func(name string, want refusal, change func(w *world, q *pb.Quote)) kind {
		return kind{"quote: " + name, want, func(w *world) error {
			m := &pb.Quote{Quote: bytes.Clone(w.b.Quote), Signature: w.b.QuoteSignature[:], Terms: w.b.Terms, ChannelConfig: w.b.ChannelConfig}
			change(w, m)
			_, err := leases.ReadQuoted(m.GetQuote(), m.GetSignature(), m.GetTerms(), m.GetChannelConfig(), w.parties)
			return err
		}}
	}
	signed := func(name string, want refusal, change func(w *world, q *market.Quote)) kind {
		return kind{"quote: " + name, want, func(w *world) error {
			return requote(w, w.provider, w.b.ChannelConfig, func(q *market.Quote) { change(w, q) })
		}}
	}
	return []kind{
		read("a block that is cut", is(market.ErrEncoding), func(w *world, m *pb.Quote) { m.Quote = w.cut(m.GetQuote()) }),
		read("a padded block", is(market.ErrEncoding), func(w *world, m *pb.Quote) { m.Quote = w.padded(m.GetQuote()) }),
		read("another type", is(market.ErrEncoding), func(w *world, m *pb.Quote) { m.Quote[w.rng.IntN(32)]++ }),
		read("an address of 32 bytes", is(market.ErrEncoding), func(w *world, m *pb.Quote) { m.Quote[32*3+w.rng.IntN(12)] = 1 }),
		read("a changed figure", is(market.ErrSignature), func(w *world, m *pb.Quote) { m.Quote[len(m.Quote)-1-w.rng.IntN(32)] ^= 1 }),
		read("other terms", is(leases.ErrHash), func(w *world, m *pb.Quote) { m.Terms = otherTerms(w) }),
		read("a job for terms", is(market.ErrEncoding), func(w *world, m *pb.Quote) { m.Terms = w.b.Job }),
		read("terms that aren't canonical", is(market.ErrEncoding), func(_ *world, m *pb.Quote) { m.Terms = append(bytes.Clone(m.GetTerms()), ' ') }),
		read("another salt", is(leases.ErrChannel), func(w *world, m *pb.Quote) {
			m.ChannelConfig = config(w, func(c *market.ChannelConfig) { c.Salt[3]++ })
		}),
		read("another receiver", is(leases.ErrChannel), func(w *world, m *pb.Quote) {
			m.ChannelConfig = config(w, func(c *market.ChannelConfig) { c.Receiver = w.stranger.Address() })
		}),
		read("half a config", is(market.ErrEncoding), func(w *world, m *pb.Quote) { m.ChannelConfig = w.cut(m.GetChannelConfig()) }),
		signed("to another client", is(leases.ErrParties), func(w *world, q *market.Quote) { q.Client = w.stranger.Address() }),
		signed("of another provider", is(leases.ErrParties), func(w *world, q *market.Quote) { q.Provider = w.stranger.Address() }),
		signed("the parties changed about", is(leases.ErrParties), func(_ *world, q *market.Quote) { q.Provider, q.Client = q.Client, q.Provider }),
		signed("on another channel", is(leases.ErrChannel), func(_ *world, q *market.Quote) { q.Channel[0]++ }),
		signed("of no ticks", is(market.ErrInvalid), func(_ *world, q *market.Quote) { q.MaxTicks = 0 }),
		{"quote: a stranger's own", is(market.ErrSignature), func(w *world) error {
			return requote(w, w.stranger, w.b.ChannelConfig, func(q *market.Quote) { q.Provider = w.stranger.Address() })
		}},
		{"quote: on a stranger's channel", is(leases.ErrChannel), func(w *world) error {
			block := config(w, func(c *market.ChannelConfig) { c.PayerAuthorizer = w.stranger.Address() })
			return requote(w, w.provider, block, func(q *market.Quote) { q.Channel = channelOf(w, block) })
		}},
	}
}

func otherTerms(w *world) []byte {
	t := w.terms
	t.CPU++
	return markettest.Must(t.Encode())
}

func config(w *world, change func(*market.ChannelConfig)) []byte {
	c := markettest.Must(market.DecodeChannelConfig(w.b.ChannelConfig))
	change(&c)
	return c.Encode()
}

func channelOf(w *world, config []byte) market.Hash {
	return w.b.Chain.ChannelID(markettest.Must(market.DecodeChannelConfig(config)))
}

func readAccepted(w *world, m *pb.Accept) error {
	_, err := leases.ReadAccepted(m, w.parties)
	return err
}

// quoted is the quote in its provider's books.
func quoted(w *world) ledger.Quote {
	return ledger.Quote{Hash: w.quote.Hash(), Block: w.b.Quote, Signature: w.b.QuoteSignature[:], Channel: w.quote.Channel, ExpiresAt: w.quote.ExpiresAt}
}

// agree is what a provider does with an acceptance.
func agree(w *world, q ledger.Quote, v *pb.Voucher, now uint64) error {
	m := w.accept()
	m.Voucher = v
	a, err := leases.ReadAccepted(m, w.parties)
	if err != nil {
		return err
	}
	in := books.Acceptance{Quote: a.Quote, Terms: a.Terms, Lease: ledger.Lease{Hash: a.Lease.Hash()}, Config: m.GetChannelConfig()}
	if a.Voucher != nil {
		in.Voucher = &books.Voucher{Voucher: *a.Voucher, Signature: a.VoucherSignature}
	}
	c := books.Counter{Quote: q, Channel: ledger.Channel{ID: w.quote.Channel, Role: ledger.Provider}}
	_, err = books.NewSide(w.b.Chain, w.provider).Accept(c, in, now)
	return err
}

func acceptKinds() []kind {
	read := func(name string, want refusal, change func(w *world, m *pb.Accept)) kind {
		return kind{"accept: " + name, want, func(w *world) error {
			m := w.accept()
			change(w, m)
			return readAccepted(w, m)
		}}
	}
	to := func(name string, want refusal, change func(w *world, p *leases.Parties)) kind {
		return kind{"accept: " + name, want, func(w *world) error {
			p := w.parties
			change(w, &p)
			_, err := leases.ReadAccepted(w.accept(), p)
			return err
		}}
	}
	lease := func(w *world, m *pb.Accept, l market.Lease) {
		m.Lease, m.ClientSignature = l.Encode(), w.sign(w.client, l.Hash())
	}
	return []kind{
		read("a lease that is cut", is(market.ErrEncoding), func(w *world, m *pb.Accept) { m.Lease = w.cut(m.GetLease()) }),
		read("a padded lease", is(market.ErrEncoding), func(w *world, m *pb.Accept) { m.Lease = w.padded(m.GetLease()) }),
		read("a voucher for a lease", is(market.ErrEncoding), func(w *world, m *pb.Accept) { m.Lease = w.b.Vouchers[0].Block }),
		read("of another quote", is(leases.ErrHash), func(w *world, m *pb.Accept) {
			lease(w, m, market.Lease{QuoteHash: market.Hash{1}, JobHash: w.lease.JobHash})
		}),
		read("for another job", is(leases.ErrHash), func(w *world, m *pb.Accept) { lease(w, m, market.Lease{QuoteHash: w.lease.QuoteHash}) }),
		read("another job", is(leases.ErrHash), func(w *world, m *pb.Accept) { m.Job = bytes.Replace(m.GetJob(), []byte("job-"), []byte("jab-"), 1) }),
		read("a voucher of another channel", is(leases.ErrChannel), func(w *world, m *pb.Accept) {
			m.Voucher = w.signedVoucher(market.Voucher{Channel: market.Hash{1}, Max: w.quote.Ceiling()})
		}),
		read("an empty voucher", is(market.ErrEncoding), func(_ *world, m *pb.Accept) { m.Voucher = &pb.Voucher{} }),
		to("replayed by another client", is(leases.ErrParties), func(w *world, p *leases.Parties) { p.Client = w.stranger.Address() }),
		to("replayed to another provider", is(market.ErrSignature), func(w *world, p *leases.Parties) { p.Provider = w.stranger.Address() }),
		to("replayed on another network", is(market.ErrSignature), func(w *world, p *leases.Parties) { p.Chain = w.otherNetwork() }),
		to("replayed on another chain", is(market.ErrSignature), func(w *world, p *leases.Parties) { p.Chain = w.otherChain() }),
		{"accept: expired", is(market.ErrTooLate), func(w *world) error {
			return agree(w, quoted(w), w.voucher(), w.quote.ExpiresAt+1+w.rng.Uint64N(1<<40))
		}},
		{"accept: of a voided quote", is(books.ErrVoid), func(w *world) error {
			q := quoted(w)
			q.Void = true
			return agree(w, q, w.voucher(), 1)
		}},
		{"accept: of one quote twice", is(books.ErrAccepted), func(w *world) error {
			q := quoted(w)
			q.Lease = market.Hash{byte(1 + w.rng.IntN(255))}
			return agree(w, q, w.voucher(), 1)
		}},
		{"accept: without a voucher", as[*books.Uncovered](), func(w *world) error { return agree(w, quoted(w), nil, 1) }},
		{"accept: with too low a voucher", as[*books.Uncovered](), func(w *world) error {
			low := market.Voucher{Channel: w.quote.Channel, Max: w.quote.TickPrice.Sub(market.NewAmount(1))}
			return agree(w, quoted(w), w.signedVoucher(low), 1)
		}},
		{"accept: one lease twice, by its client", is(books.ErrKnown), func(w *world) error {
			_, err := books.NewSide(w.b.Chain, w.client).Lease(books.Account{}, ledger.Lease{Hash: w.lease.Hash()}, w.quote, w.terms, true, 1)
			return err
		}},
	}
}
