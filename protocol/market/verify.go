package market

// Verify checks every hash, signature, order and charge in the bundle. Its
// error is a *Fault that names the first thing that is wrong, in the order
// network, request, terms, job, quote, channel, lease, receipts, vouchers. The
// Summary holds what was found good before that.
//
// Whether the lease ended is checked last: with FaultNotEnded the bundle is
// good as far as it goes, but its end was cut off or never signed. What no
// file can prove is that no later voucher or countersignature exists.
func (b Bundle) Verify() (Summary, error) {
	v := verifier{Bundle: b, hashes: make(map[uint32]Hash, len(b.Receipts))}
	steps := []func() *Fault{
		v.checkNetwork, v.checkDocuments, v.checkQuote, v.checkChannel, v.checkLease, v.checkReceipts, v.checkVouchers, v.checkEnd,
	}
	for _, step := range steps {
		if f := step(); f != nil {
			return v.sum, f
		}
	}
	return v.sum, nil
}

// verifier is one run over a bundle.
type verifier struct {
	Bundle
	sum    Summary
	quote  Quote
	prev   *Receipt
	hashes map[uint32]Hash // of the receipts so far
}

func (v *verifier) checkNetwork() *Fault {
	if !ValidNetwork(v.Network) {
		return fault(FaultBadDocument, 0, "network %.40q is not 1 to 32 of a-z, 0-9 and -", v.Network)
	}
	if v.Chain.ID == 0 && v.Chain != NoChain(v.Network) {
		return fault(FaultWrongNetwork, 0, "without a chain, documents of network %q are signed for contract %s, not %s", v.Network, NoChain(v.Network).Contract, v.Chain.Contract)
	}
	v.sum.Network = v.Network
	return nil
}

func (v *verifier) checkDocuments() *Fault {
	request, err := DecodeRequest(v.Request)
	if err != nil {
		return fault(FaultBadDocument, 0, "the request can't be read: %v", err)
	}
	terms, err := DecodeTerms(v.Terms)
	if err != nil {
		return fault(FaultBadDocument, 0, "the terms can't be read: %v", err)
	}
	if _, err := DecodeJob(v.Job); err != nil {
		return fault(FaultBadDocument, 0, "the job can't be read: %v", err)
	}
	if request.Network != v.Network || terms.Network != v.Network {
		return fault(FaultWrongNetwork, 0, "the request is for network %q and the terms for %q, not %q", request.Network, terms.Network, v.Network)
	}
	return nil
}

func (v *verifier) checkQuote() *Fault {
	q, err := DecodeQuote(v.Quote)
	if err != nil {
		return fault(FaultBadDocument, 0, "the quote can't be read: %v", err)
	}
	if err := v.QuoteSignature.Verify(v.Chain.Digest(q.Hash()), q.Provider); err != nil {
		return fault(FaultBadSignature, 0, "the provider's signature of the quote: %v", err)
	}
	if err := q.Validate(); err != nil {
		return fault(FaultBadDocument, 0, "the quote makes no sense: %v", err)
	}
	if got := BlockHash(v.Request); got != q.RequestHash {
		return fault(FaultBadHash, 0, "the request has hash %s, the quote answers %s", got, q.RequestHash)
	}
	if got := BlockHash(v.Terms); got != q.TermsHash {
		return fault(FaultBadHash, 0, "the terms have hash %s, the quote names %s", got, q.TermsHash)
	}
	v.quote = q
	v.sum.Provider, v.sum.Client, v.sum.Unit, v.sum.Ceiling = q.Provider, q.Client, q.Unit, q.Ceiling()
	return nil
}

func (v *verifier) checkChannel() *Fault {
	c, err := DecodeChannelConfig(v.ChannelConfig)
	if err != nil {
		return fault(FaultBadDocument, 0, "the channel config can't be read: %v", err)
	}
	switch id := v.Chain.ChannelID(c); {
	case id != v.quote.Channel:
		return fault(FaultWrongChannel, 0, "the channel config is that of %s, the quote names %s", id, v.quote.Channel)
	case c.PayerAuthorizer != v.quote.Client:
		return fault(FaultWrongChannel, 0, "%s signs for the channel's payer, the client is %s", c.PayerAuthorizer, v.quote.Client)
	case c.ReceiverAuthorizer != v.quote.Provider:
		return fault(FaultWrongChannel, 0, "%s signs for the channel's receiver, the provider is %s", c.ReceiverAuthorizer, v.quote.Provider)
	case v.Chain.ID == 0 && (c.Payer != v.quote.Client || c.Receiver != v.quote.Provider || c.Token != Address{} || c.WithdrawDelay != 0):
		return fault(FaultWrongChannel, 0, "without a chain the channel's payer and receiver are the client and the provider, and it has no token and no withdraw delay")
	}
	v.sum.Channel = v.quote.Channel
	return nil
}

func (v *verifier) checkLease() *Fault {
	l, err := DecodeLease(v.Lease)
	if err != nil {
		return fault(FaultBadDocument, 0, "the lease can't be read: %v", err)
	}
	digest := v.Chain.Digest(l.Hash())
	if err := v.ClientSignature.Verify(digest, v.quote.Client); err != nil {
		return fault(FaultBadSignature, 0, "the client's signature of the lease: %v", err)
	}
	if err := v.ProviderSignature.Verify(digest, v.quote.Provider); err != nil {
		return fault(FaultBadSignature, 0, "the provider's signature of the lease: %v", err)
	}
	if got := v.quote.Hash(); got != l.QuoteHash {
		return fault(FaultWrongLease, 0, "the lease is for quote %s, this quote is %s", l.QuoteHash, got)
	}
	if got := BlockHash(v.Job); got != l.JobHash {
		return fault(FaultBadHash, 0, "the job has hash %s, the lease names %s", got, l.JobHash)
	}
	v.sum.Lease = l.Hash()
	return nil
}

func (v *verifier) checkVouchers() *Fault {
	var highest Amount
	for i, sv := range v.Vouchers {
		place := uint32(i) + 1 //nolint:gosec // a file holds far fewer
		voucher, err := DecodeVoucher(sv.Block)
		if err != nil {
			return fault(FaultBadDocument, place, "voucher %d can't be read: %v", place, err)
		}
		if err := sv.Signature.Verify(v.Chain.VoucherDigest(voucher), v.quote.Client); err != nil {
			return fault(FaultBadSignature, place, "the client's signature of voucher %d: %v", place, err)
		}
		if voucher.Channel != v.quote.Channel {
			return fault(FaultWrongChannel, place, "voucher %d is for channel %s, not %s", place, voucher.Channel, v.quote.Channel)
		}
		if voucher.Max.Less(highest) {
			return fault(FaultVoucherFell, place, "voucher %d allows %s, less than the %s before", place, voucher.Max, highest)
		}
		highest = voucher.Max
		v.sum.Voucher = highest
	}
	return nil
}

func (v *verifier) checkEnd() *Fault {
	if v.sum.Outcome != NotEnded {
		return nil
	}
	if v.prev == nil {
		return fault(FaultNotEnded, 0, "there is no receipt: the lease's end was cut off or never signed")
	}
	return fault(FaultNotEnded, v.prev.Seq, "receipt %d is the last one and doesn't end the lease: its end was cut off or never signed", v.prev.Seq)
}
