package forgery

import (
	"slices"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

// verify checks the world's bundle after a change.
func verify(w *world, change func(b *market.Bundle)) error {
	b := w.b
	b.Receipts, b.Vouchers = slices.Clone(b.Receipts), slices.Clone(b.Vouchers)
	change(&b)
	_, err := b.Verify()
	return err
}

func bundleKinds() []kind {
	with := func(name string, code market.FaultCode, change func(w *world, b *market.Bundle)) kind {
		return kind{"bundle: " + name, faulted(code), func(w *world) error {
			return verify(w, func(b *market.Bundle) { change(w, b) })
		}}
	}
	again := func(name string, code market.FaultCode, change func(w *world, r *market.Receipt)) kind {
		return with("a receipt "+name, code, func(w *world, b *market.Bundle) {
			r := w.next()
			change(w, &r)
			body := b.Receipts[w.at].Body
			b.Receipts[w.at] = markettest.SignReceipt(b.Chain, w.provider, r)
			b.Receipts[w.at].Body = body
		})
	}
	return []kind{
		with("another network", market.FaultWrongNetwork, func(_ *world, b *market.Bundle) { b.Network += "x" }),
		with("another chain", market.FaultBadSignature, func(w *world, b *market.Bundle) { b.Chain = w.otherChain() }),
		with("a quote that is cut", market.FaultBadDocument, func(w *world, b *market.Bundle) { b.Quote = w.cut(b.Quote) }),
		with("padded terms", market.FaultBadDocument, func(w *world, b *market.Bundle) { b.Terms = w.padded(b.Terms) }),
		with("other terms", market.FaultBadHash, func(w *world, b *market.Bundle) { b.Terms = otherTerms(w) }),
		with("another job", market.FaultBadHash, func(_ *world, b *market.Bundle) {
			b.Job = markettest.Must(market.Job{WASM: markettest.Module()}.Encode())
		}),
		with("another channel", market.FaultWrongChannel, func(w *world, b *market.Bundle) {
			b.ChannelConfig = config(w, func(c *market.ChannelConfig) { c.Salt[w.rng.IntN(32)]++ })
		}),
		with("a lease of another quote", market.FaultWrongLease, func(w *world, b *market.Bundle) {
			l := market.Lease{JobHash: w.lease.JobHash}
			b.Lease = l.Encode()
			b.ClientSignature, b.ProviderSignature = market.Signature(w.sign(w.client, l.Hash())), market.Signature(w.sign(w.provider, l.Hash()))
		}),
		with("a receipt that is cut", market.FaultBadDocument, func(w *world, b *market.Bundle) { b.Receipts[w.at].Block = w.cut(b.Receipts[w.at].Block) }),
		with("another body", market.FaultBadHash, func(w *world, b *market.Bundle) { b.Receipts[w.at].Body = w.padded(b.Receipts[w.at].Body) }),
		with("a receipt left out", market.FaultGap, func(w *world, b *market.Bundle) { b.Receipts = slices.Delete(b.Receipts, w.at, w.at+1) }),
		with("a receipt twice", market.FaultReorder, func(w *world, b *market.Bundle) { b.Receipts = slices.Insert(b.Receipts, w.at, b.Receipts[w.at]) }),
		with("receipts in another order", market.FaultReorder, func(w *world, b *market.Bundle) {
			b.Receipts[w.at], b.Receipts[w.at+1] = b.Receipts[w.at+1], b.Receipts[w.at]
		}),
		with("no end", market.FaultNotEnded, func(w *world, b *market.Bundle) { b.Receipts = b.Receipts[:w.at] }),
		with("two receipts with one number", market.FaultEquivocation, func(w *world, b *market.Bundle) {
			r := w.next()
			r.Units--
			b.Receipts = slices.Insert(b.Receipts, w.at+1+w.rng.IntN(len(b.Receipts)-w.at-1), markettest.SignReceipt(b.Chain, w.provider, r))
		}),
		with("a second receipt that nobody signed", market.FaultBadSignature, func(w *world, b *market.Bundle) {
			r := w.next()
			r.Units--
			b.Receipts = slices.Insert(b.Receipts, w.at+1, markettest.SignReceipt(b.Chain, w.stranger, r))
		}),
		again("of another lease", market.FaultWrongLease, func(w *world, r *market.Receipt) { r.Lease[w.rng.IntN(32)]++ }),
		again("after another one", market.FaultWrongPrevious, func(w *world, r *market.Receipt) { r.Previous[w.rng.IntN(32)]++ }),
		again("over the formula", market.FaultOverCharge, func(_ *world, r *market.Receipt) { r.Charged = r.Charged.Add(market.NewAmount(1)) }),
		again("without what its outcome needs", market.FaultBadOutcome, func(_ *world, r *market.Receipt) { r.Outcome = market.Succeeded }),
		with("vouchers that fall", market.FaultVoucherFell, func(_ *world, b *market.Bundle) { slices.Reverse(b.Vouchers) }),
		with("a voucher of another channel", market.FaultWrongChannel, func(w *world, b *market.Bundle) {
			v := market.Voucher{Channel: market.Hash{1}, Max: w.quote.Ceiling()}
			b.Vouchers = append(b.Vouchers, markettest.SignVoucher(b.Chain, w.client, v))
		}),
		with("a voucher of the provider's", market.FaultBadSignature, func(w *world, b *market.Bundle) {
			v := market.Voucher{Channel: w.quote.Channel, Max: w.quote.Ceiling()}
			b.Vouchers = append(b.Vouchers, markettest.SignVoucher(b.Chain, w.provider, v))
		}),
	}
}
