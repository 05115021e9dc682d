package forgery

import (
	"errors"

	"souk/node/books"
	"souk/node/ledger"
	leases "souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/pb"
)

// place is where a signature is read.
type place struct {
	name    string
	subject func(w *world) subject
	read    func(w *world, sig []byte) error
	fault   bool // it answers with market.FaultBadSignature
	whole   bool // what reaches it has 65 bytes
	may     bool // there need be none
}

func bySouk(by, peer *market.Signer, hash, other market.Hash, w *world) subject {
	return subject{by, peer, func(c market.Chain) market.Hash { return c.Digest(hash) }, hash, w.b.Chain.Digest(other)}
}

func ofQuote(w *world) subject {
	other := w.quote
	other.Nonce[0]++
	return bySouk(w.provider, w.client, w.quote.Hash(), other.Hash(), w)
}

func ofLeaseBy(by func(w *world) (*market.Signer, *market.Signer)) func(w *world) subject {
	return func(w *world) subject {
		who, peer := by(w)
		return bySouk(who, peer, w.lease.Hash(), market.Lease{QuoteHash: w.lease.QuoteHash}.Hash(), w)
	}
}

func ofReceiptBy(by func(w *world) (*market.Signer, *market.Signer)) func(w *world) subject {
	return func(w *world) subject {
		who, peer := by(w)
		return bySouk(who, peer, w.next().Hash(), w.receipts[w.at-1].Hash(), w)
	}
}

func provider(w *world) (*market.Signer, *market.Signer) { return w.provider, w.client }
func client(w *world) (*market.Signer, *market.Signer)   { return w.client, w.provider }

func ofVoucher(w *world) subject {
	v := markettest.Must(market.DecodeVoucher(w.b.Vouchers[0].Block))
	other := w.b.Chain.VoucherDigest(market.Voucher{Channel: v.Channel, Max: v.Max.Add(market.NewAmount(1))})
	return subject{w.client, w.provider, func(c market.Chain) market.Hash { return c.VoucherDigest(v) }, v.Hash(), other}
}

// places are all where signatures are read.
func places() []place {
	return []place{
		{name: "quote", subject: ofQuote, read: func(w *world, sig []byte) error {
			_, err := leases.ReadQuoted(w.b.Quote, sig, w.b.Terms, w.b.ChannelConfig, w.parties)
			return err
		}},
		{name: "accept's quote", subject: ofQuote, read: func(w *world, sig []byte) error {
			m := w.accept()
			m.QuoteSignature = sig
			return readAccepted(w, m)
		}},
		{name: "accept", subject: ofLeaseBy(client), read: func(w *world, sig []byte) error {
			m := w.accept()
			m.ClientSignature = sig
			return readAccepted(w, m)
		}},
		{name: "accept's voucher", subject: ofVoucher, read: func(w *world, sig []byte) error {
			m := w.accept()
			m.Voucher.Signature = sig
			return readAccepted(w, m)
		}},
		{name: "shown lease's client", subject: ofLeaseBy(client), read: func(w *world, sig []byte) error {
			m := w.documents()
			m.ClientSignature = sig
			return readShown(w, m)
		}},
		{name: "shown lease's provider", subject: ofLeaseBy(provider), read: func(w *world, sig []byte) error {
			m := w.documents()
			m.ProviderSignature = sig
			return readShown(w, m)
		}},
		{name: "shown receipt's provider", subject: ofReceiptBy(provider), read: func(w *world, sig []byte) error {
			m := w.shown()
			m.ProviderSignature = sig
			return readReceipt(w, m)
		}},
		{name: "shown receipt's client", subject: ofReceiptBy(client), may: true, read: func(w *world, sig []byte) error {
			m := w.shown()
			m.ClientSignature = sig
			return readReceipt(w, m)
		}},
		{name: "receipt", subject: ofReceiptBy(provider), fault: true, read: func(w *world, sig []byte) error {
			return judge(w, w.b.Receipts[w.at].Block, sig, w.b.Receipts[w.at].Body, nil)
		}},
		{name: "countersignature", subject: ofReceiptBy(client), read: func(w *world, sig []byte) error {
			return countersign(w, w.next().Seq, sig, w.record(), nil)
		}},
		{name: "voucher", subject: ofVoucher, read: func(w *world, sig []byte) error {
			m := w.voucher()
			m.Signature = sig
			return pay(w, m, nil)
		}},
		inBundle("quote", ofQuote, func(w *world, b *market.Bundle) *market.Signature { return &b.QuoteSignature }),
		inBundle("lease's client", ofLeaseBy(client), func(w *world, b *market.Bundle) *market.Signature { return &b.ClientSignature }),
		inBundle("lease's provider", ofLeaseBy(provider), func(w *world, b *market.Bundle) *market.Signature { return &b.ProviderSignature }),
		inBundle("receipt's provider", ofReceiptBy(provider), func(w *world, b *market.Bundle) *market.Signature { return &b.Receipts[w.at].Provider }),
		optional(inBundle("receipt's client", ofReceiptBy(client), func(w *world, b *market.Bundle) *market.Signature { return &b.Receipts[w.at].Client })),
		inBundle("voucher", ofVoucher, func(_ *world, b *market.Bundle) *market.Signature { return &b.Vouchers[0].Signature }),
	}
}

func inBundle(name string, s func(*world) subject, at func(*world, *market.Bundle) *market.Signature) place {
	return place{name: "bundle's " + name, subject: s, fault: true, whole: true, read: func(w *world, sig []byte) error {
		return verify(w, func(b *market.Bundle) { *at(w, b) = market.Signature(sig) })
	}}
}

func optional(p place) place {
	p.may = true
	return p
}

// spoiledSignatures spoils each signature in each way that reaches its place.
func spoiledSignatures() (all []kind) {
	for _, p := range places() {
		for _, s := range spoils() {
			missing := s.name == "none" || p.whole && s.name == "zeros"
			if p.whole && errors.Is(s.want, market.ErrLength) || p.may && missing {
				continue
			}
			want := is(s.want)
			if p.fault {
				want = faulted(market.FaultBadSignature)
			}
			all = append(all, kind{p.name + "'s signature: " + s.name, want, func(w *world) error { return p.read(w, s.spoil(w, p.subject(w))) }})
		}
	}
	return all
}

// controls hand over what is signed as it should be.
func controls() map[string]func(w *world) error {
	all := map[string]func(w *world) error{
		"ask":    func(w *world) error { return readAsked(w, w.ask()) },
		"lease":  func(w *world) error { return agree(w, quoted(w), w.voucher(), w.quote.ExpiresAt) },
		"offer":  func(w *world) error { return open(w, w.offered(), key(1), nil) },
		"bundle": func(w *world) error { return verify(w, func(*market.Bundle) {}) },
	}
	for _, p := range places() {
		all[p.name] = func(w *world) error { return p.read(w, p.subject(w).signed(w)) }
	}
	return all
}

// countersign is what a provider does with a client's signature on a receipt.
func countersign(w *world, seq uint32, raw []byte, known *ledger.Receipt, change func(*ledger.Lease)) error {
	sig, err := market.SignatureFrom(raw)
	if err != nil {
		return err
	}
	l, ch := w.books(ledger.Provider)
	l.Newest = books.MarkOf(w.next())
	if change != nil {
		change(&l)
	}
	side := books.NewSide(w.b.Chain, w.provider)
	t, err := side.Countersigned(l, ch, w.quote.Client, known, books.Countersignature{Seq: seq, Signature: sig}, 1)
	if err == nil && !t.Changed() {
		return errNoNews
	}
	return err
}

// pay is what a provider does with a voucher.
func pay(w *world, m *pb.Voucher, change func(*ledger.Channel)) error {
	v, sig, err := leases.ReadVoucher(m, w.parties, w.quote.Channel)
	if err != nil {
		return err
	}
	ch := ledger.Channel{ID: w.quote.Channel, Role: ledger.Provider}
	if change != nil {
		change(&ch)
	}
	if _, raised := books.Raise(ch, books.Voucher{Voucher: v, Signature: sig}, 1); !raised {
		return errNoNews
	}
	return nil
}
