package forgery

import (
	"bytes"
	"time"

	"souk/node/books"
	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/pb"
)

func readShown(w *world, m *pb.LeaseDocuments) error {
	_, err := books.ReadShown(m, "peer", w.parties, w.quote.Channel)
	return err
}

func readReceipt(w *world, m *pb.Receipt) error {
	_, err := books.Shown{}.With(m, w.parties)
	return err
}

func leaseKinds() []kind {
	show := func(name string, want refusal, change func(w *world, m *pb.LeaseDocuments)) kind {
		return kind{"shown lease: " + name, want, func(w *world) error {
			m := w.documents()
			change(w, m)
			return readShown(w, m)
		}}
	}
	other := func(w *world, m *pb.LeaseDocuments, l market.Lease) {
		m.Lease, m.ClientSignature, m.ProviderSignature = l.Encode(), w.sign(w.client, l.Hash()), w.sign(w.provider, l.Hash())
	}
	quote := func(w *world, m *pb.LeaseDocuments, change func(q *market.Quote)) {
		q := w.quote
		change(&q)
		m.Quote, m.QuoteSignature = q.Encode(), w.sign(w.provider, q.Hash())
		other(w, m, market.Lease{QuoteHash: q.Hash(), JobHash: w.lease.JobHash})
	}
	return []kind{
		show("other terms", is(leases.ErrHash), func(w *world, m *pb.LeaseDocuments) { m.Terms = otherTerms(w) }),
		show("another job", is(leases.ErrHash), func(w *world, m *pb.LeaseDocuments) { m.Job = w.b.Terms }),
		show("of another quote", is(leases.ErrHash), func(w *world, m *pb.LeaseDocuments) { other(w, m, market.Lease{JobHash: w.lease.JobHash}) }),
		show("cut", is(market.ErrEncoding), func(w *world, m *pb.LeaseDocuments) { m.Lease = w.cut(m.GetLease()) }),
		show("on another channel", is(leases.ErrChannel), func(w *world, m *pb.LeaseDocuments) { quote(w, m, func(q *market.Quote) { q.Channel[9]++ }) }),
		show("of another client", is(leases.ErrParties), func(w *world, m *pb.LeaseDocuments) {
			quote(w, m, func(q *market.Quote) { q.Client = w.stranger.Address() })
		}),
		show("of another provider", is(leases.ErrParties), func(w *world, m *pb.LeaseDocuments) {
			quote(w, m, func(q *market.Quote) { q.Provider = w.stranger.Address() })
		}),
		{"shown receipt: another body", is(leases.ErrHash), func(w *world) error {
			m := w.shown()
			m.Body = w.padded(m.GetBody())
			return readReceipt(w, m)
		}},
		{"shown receipt: padded", is(market.ErrEncoding), func(w *world) error {
			m := w.shown()
			m.Receipt = w.padded(m.GetReceipt())
			return readReceipt(w, m)
		}},
	}
}

// judge is what a client does with a receipt.
func judge(w *world, block, signature, body []byte, change func(*books.Against)) error {
	c, err := books.NewSide(w.b.Chain, w.client).Read(block, signature, body, w.quote.Provider)
	if err != nil {
		return err
	}
	l, ch := w.books(ledger.Client)
	before := w.b.Receipts[w.at-1]
	a := books.Against{
		Lease: l, Quote: w.quote, Channel: ch, Passed: time.Duration(w.next().Units) * time.Millisecond, Sure: true,
		Previous: &ledger.Receipt{Seq: l.Newest.Seq, Block: before.Block, ProviderSignature: before.Provider[:], Body: before.Body},
	}
	if change != nil {
		change(&a)
	}
	if c, err = a.Judge(c); err == nil && c.Known {
		return errNoNews
	}
	return err
}

func receiptKinds() []kind {
	signed := func(name string, code market.FaultCode, change func(w *world, r *market.Receipt)) kind {
		return kind{"receipt: " + name, faulted(code), func(w *world) error {
			r := w.next()
			change(w, &r)
			return judge(w, r.Encode(), w.sign(w.provider, r.Hash()), w.b.Receipts[w.at].Body, nil)
		}}
	}
	read := func(name string, code market.FaultCode, change func(w *world, m *pb.Receipt)) kind {
		return kind{"receipt: " + name, faulted(code), func(w *world) error {
			m := w.shown()
			m.Receipt = bytes.Clone(m.GetReceipt())
			change(w, m)
			return judge(w, m.GetReceipt(), m.GetProviderSignature(), m.GetBody(), nil)
		}}
	}
	return []kind{
		read("cut", market.FaultBadDocument, func(w *world, m *pb.Receipt) { m.Receipt = w.cut(m.GetReceipt()) }),
		read("padded", market.FaultBadDocument, func(w *world, m *pb.Receipt) { m.Receipt = w.padded(m.GetReceipt()) }),
		read("a number of 32 bytes", market.FaultBadDocument, func(w *world, m *pb.Receipt) { m.Receipt[32*2+w.rng.IntN(24)] = 1 }),
		read("a changed figure", market.FaultBadSignature, func(w *world, m *pb.Receipt) { m.Receipt[len(m.Receipt)-1-w.rng.IntN(32)] ^= 1 }),
		read("another body", market.FaultBadHash, func(w *world, m *pb.Receipt) { m.Body = w.padded(m.GetBody()) }),
		signed("of another lease", market.FaultWrongLease, func(w *world, r *market.Receipt) { r.Lease[w.rng.IntN(32)]++ }),
		signed("with a gap", market.FaultGap, func(w *world, r *market.Receipt) { r.Seq += 1 + w.rng.Uint32N(1000) }),
		signed("after another one", market.FaultWrongPrevious, func(w *world, r *market.Receipt) { r.Previous[w.rng.IntN(32)]++ }),
		signed("units that fell", market.FaultUnitsFell, func(w *world, r *market.Receipt) { r.Units = w.receipts[w.at-1].Units - 1 }),
		signed("a charge that fell", market.FaultChargeFell, func(w *world, r *market.Receipt) {
			r.Charged = w.receipts[w.at-1].Charged.Sub(market.NewAmount(1))
		}),
		signed("over the formula", market.FaultOverCharge, func(w *world, r *market.Receipt) {
			r.Charged = r.Charged.Add(market.NewAmount(1 + w.rng.Uint64N(1<<40)))
		}),
		signed("over the quote's time", market.FaultOverTime, func(w *world, r *market.Receipt) { r.Units = w.quote.MaxMillis + 1 + w.rng.Uint64N(1<<40) }),
		signed("over the time that passed", market.FaultOverTime, func(w *world, r *market.Receipt) { r.Units += 251 + w.rng.Uint64N(10_000) }),
		signed("an unknown outcome", market.FaultBadOutcome, func(w *world, r *market.Receipt) { r.Outcome = market.Expired + 1 + market.Outcome(w.rng.IntN(200)) }),
		signed("a success without exit status", market.FaultBadOutcome, func(_ *world, r *market.Receipt) { r.Outcome = market.Succeeded }),
		{"receipt: a second one with its number", faulted(market.FaultEquivocation), func(w *world) error {
			r := w.next()
			r.Units -= 1 + w.rng.Uint64N(100)
			return judge(w, r.Encode(), w.sign(w.provider, r.Hash()), w.b.Receipts[w.at].Body, func(a *books.Against) {
				a.Lease.Newest, a.Same = books.MarkOf(w.next()), w.record()
			})
		}},
		{"receipt: after the end", faulted(market.FaultAfterEnd), func(w *world) error {
			last := w.receipts[len(w.receipts)-1]
			r := last
			r.Seq, r.Previous = last.Seq+1, last.Hash()
			return judge(w, r.Encode(), w.sign(w.provider, r.Hash()), w.b.Receipts[len(w.receipts)-1].Body, func(a *books.Against) {
				a.Passed, a.Previous = time.Hour, &ledger.Receipt{Block: last.Encode()}
				a.Lease.Newest, a.Lease.Countersigned = books.MarkOf(last), books.MarkOf(last)
			})
		}},
		{"receipt: more than is covered", faulted(market.FaultOverCharge), func(w *world) error {
			r := w.next()
			r.Units += 14 * w.quote.TickUnits
			r.Charged = w.quote.Charge(r.Units)
			return judge(w, r.Encode(), w.sign(w.provider, r.Hash()), w.b.Receipts[w.at].Body, func(a *books.Against) {
				a.Passed, a.Channel.Voucher = time.Hour, a.Channel.Due
			})
		}},
		{"receipt: one that is known", is(errNoNews), func(w *world) error {
			i := w.rng.IntN(w.at)
			r := w.b.Receipts[i]
			same := ledger.Receipt{Block: r.Block}
			return judge(w, r.Block, r.Provider[:], r.Body, func(a *books.Against) { a.Same = &same })
		}},
	}
}

func countersignKinds() []kind {
	of := func(w *world, r market.Receipt) []byte { return w.sign(w.client, r.Hash()) }
	return []kind{
		{"countersignature: of no receipt", is(books.ErrNoReceipt), func(w *world) error {
			return countersign(w, w.next().Seq+1, of(w, w.next()), nil, nil)
		}},
		{"countersignature: of another lease's receipt", is(market.ErrSignature), func(w *world) error {
			r := w.next()
			r.Lease[w.rng.IntN(32)]++
			return countersign(w, r.Seq, of(w, r), w.record(), nil)
		}},
		{"countersignature: of a cheaper receipt", is(market.ErrSignature), func(w *world) error {
			r := w.next()
			r.Charged = market.Amount{}
			return countersign(w, r.Seq, of(w, r), w.record(), nil)
		}},
		{"countersignature: one that is known", is(errNoNews), func(w *world) error {
			return countersign(w, w.next().Seq, of(w, w.next()), w.record(), func(l *ledger.Lease) { l.Countersigned = l.Newest })
		}},
	}
}

func voucherKinds() []kind {
	read := func(name string, want refusal, change func(w *world, m *pb.Voucher)) kind {
		return kind{"voucher: " + name, want, func(w *world) error {
			m := w.voucher()
			m.Voucher = bytes.Clone(m.GetVoucher())
			change(w, m)
			return pay(w, m, nil)
		}}
	}
	first := func(w *world) market.Voucher { return markettest.Must(market.DecodeVoucher(w.b.Vouchers[0].Block)) }
	return []kind{
		read("cut", is(market.ErrEncoding), func(w *world, m *pb.Voucher) { m.Voucher = w.cut(m.GetVoucher()) }),
		read("padded", is(market.ErrEncoding), func(w *world, m *pb.Voucher) { m.Voucher = w.padded(m.GetVoucher()) }),
		read("an amount of 32 bytes", is(market.ErrEncoding), func(w *world, m *pb.Voucher) { m.Voucher[32*2+w.rng.IntN(16)] = 1 }),
		read("raised after it was signed", is(market.ErrSignature), func(w *world, m *pb.Voucher) { m.Voucher[32*2+16+w.rng.IntN(8)]++ }),
		read("of another channel", is(leases.ErrChannel), func(w *world, m *pb.Voucher) {
			o := w.signedVoucher(market.Voucher{Channel: market.Hash{byte(w.rng.IntN(256)), 1}, Max: w.quote.Ceiling()})
			m.Voucher, m.Signature = o.GetVoucher(), o.GetSignature()
		}),
		read("moved to this channel", is(market.ErrSignature), func(w *world, m *pb.Voucher) {
			v := first(w)
			v.Channel[0]++
			m.Signature = w.signedVoucher(v).GetSignature()
		}),
		read("signed as souk's own document", is(market.ErrSignature), func(w *world, m *pb.Voucher) { m.Signature = w.sign(w.client, first(w).Hash()) }),
		{"voucher: the same again", is(errNoNews), func(w *world) error {
			return pay(w, w.voucher(), func(c *ledger.Channel) { c.Voucher = first(w).Max })
		}},
		{"voucher: a lower one", is(errNoNews), func(w *world) error {
			return pay(w, w.voucher(), func(c *ledger.Channel) { c.Voucher = first(w).Max.Add(market.NewAmount(1 + w.rng.Uint64N(1<<40))) })
		}},
	}
}
