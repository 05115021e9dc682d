package market_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

func verify(t require.TestingT, b market.Bundle) (market.Summary, *market.Fault) {
	sum, err := b.Verify()
	if err == nil {
		return sum, nil
	}
	var f *market.Fault
	require.ErrorAs(t, err, &f)
	require.NotEmpty(t, f.Sentence)
	return sum, f
}

func TestAGoodBundleIsSummedUp(t *testing.T) {
	who := markettest.Standard()
	sum, f := verify(t, markettest.Bundle(markettest.Plan{Countersigned: 2}))
	require.Nil(t, f)
	require.Equal(t, who.Provider.Address(), sum.Provider)
	require.Equal(t, who.Client.Address(), sum.Client)
	require.Equal(t, uint64(2500), sum.Units)
	require.Equal(t, market.NewAmount(250), sum.Charged)
	require.Equal(t, uint32(2), sum.CountersignedSeq)
	require.Equal(t, market.NewAmount(200), sum.Countersigned)
	require.Equal(t, market.NewAmount(50), sum.Disputed)
	require.Equal(t, market.NewAmount(350), sum.Voucher)
	require.Equal(t, market.NewAmount(10_000), sum.Ceiling)
	require.Equal(t, market.Succeeded, sum.Outcome)
	require.Equal(t, 3, sum.Receipts)
}

func TestALeaseOnAChainVerifies(t *testing.T) {
	_, f := verify(t, markettest.Bundle(markettest.Plan{Chain: market.Chain{ID: 8453, Contract: market.Address{9}}}))
	require.Nil(t, f)
}

// resign replaces receipt i by what change makes of it, signed by the provider.
func resign(b *market.Bundle, i int, change func(*market.Receipt)) {
	r := markettest.Must(market.DecodeReceipt(b.Receipts[i].Block))
	change(&r)
	s := markettest.SignReceipt(b.Chain, markettest.Standard().Provider, r)
	s.Body = b.Receipts[i].Body
	b.Receipts[i] = s
}

// requote has both parties sign another quote for the same lease.
func requote(b *market.Bundle, change func(*market.Quote)) {
	who := markettest.Standard()
	q := markettest.Must(market.DecodeQuote(b.Quote))
	change(&q)
	b.Quote, b.QuoteSignature = q.Encode(), markettest.Sign(who.Provider, b.Chain.Digest(q.Hash()))
	l := market.Lease{QuoteHash: q.Hash(), JobHash: market.BlockHash(b.Job)}
	b.Lease = l.Encode()
	b.ClientSignature = markettest.Sign(who.Client, b.Chain.Digest(l.Hash()))
	b.ProviderSignature = markettest.Sign(who.Provider, b.Chain.Digest(l.Hash()))
}

// tampered is what change makes of a good bundle, and what is then said.
type tampered struct {
	want   market.FaultCode
	seq    uint32
	change func(b *market.Bundle)
}

func namesFirstFaults(t *testing.T, cases map[string]tampered) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := markettest.Bundle(markettest.Plan{Countersigned: 1})
			c.change(&b)
			_, f := verify(t, b)
			require.NotNil(t, f)
			require.Equal(t, c.want, f.Code, f.Sentence)
			require.Equal(t, c.seq, f.Seq, f.Sentence)
		})
	}
}

func TestTheFirstFaultOfAnAgreementIsNamed(t *testing.T) {
	other := markettest.Bundle(markettest.Plan{Job: "other"})
	namesFirstFaults(t, map[string]tampered{
		"network's name":         {market.FaultBadDocument, 0, func(b *market.Bundle) { b.Network = "No Such" }},
		"another network":        {market.FaultWrongNetwork, 0, func(b *market.Bundle) { b.Network = "souk-other" }},
		"another contract":       {market.FaultWrongNetwork, 0, func(b *market.Bundle) { b.Chain.Contract[0]++ }},
		"another chain":          {market.FaultBadSignature, 0, func(b *market.Bundle) { b.Chain.ID = 1 }},
		"request of another":     {market.FaultWrongNetwork, 0, func(b *market.Bundle) { b.Request = markettest.Bundle(markettest.Plan{Network: "n"}).Request }},
		"request unreadable":     {market.FaultBadDocument, 0, func(b *market.Bundle) { b.Request = []byte("{}") }},
		"terms unreadable":       {market.FaultBadDocument, 0, func(b *market.Bundle) { b.Terms = nil }},
		"job unreadable":         {market.FaultBadDocument, 0, func(b *market.Bundle) { b.Job = []byte("{") }},
		"job of another lease":   {market.FaultBadHash, 0, func(b *market.Bundle) { b.Job = other.Job }},
		"quote cut":              {market.FaultBadDocument, 0, func(b *market.Bundle) { b.Quote = b.Quote[:100] }},
		"quote unsigned":         {market.FaultBadSignature, 0, func(b *market.Bundle) { b.QuoteSignature = market.Signature{} }},
		"quote makes no sense":   {market.FaultBadDocument, 0, func(b *market.Bundle) { requote(b, func(q *market.Quote) { q.TickUnits = 0 }) }},
		"quote, another request": {market.FaultBadHash, 0, func(b *market.Bundle) { requote(b, func(q *market.Quote) { q.RequestHash[0]++ }) }},
		"quote, other terms":     {market.FaultBadHash, 0, func(b *market.Bundle) { requote(b, func(q *market.Quote) { q.TermsHash[0]++ }) }},
		"config unreadable":      {market.FaultBadDocument, 0, func(b *market.Bundle) { b.ChannelConfig = nil }},
		"config of another":      {market.FaultWrongChannel, 0, func(b *market.Bundle) { b.ChannelConfig[len(b.ChannelConfig)-1]++ }},
		"payer's authorizer":     {market.FaultWrongChannel, 0, reconfigure(func(c *market.ChannelConfig) { c.PayerAuthorizer[0]++ })},
		"receiver's authorizer":  {market.FaultWrongChannel, 0, reconfigure(func(c *market.ChannelConfig) { c.ReceiverAuthorizer[0]++ })},
		"token without chain":    {market.FaultWrongChannel, 0, reconfigure(func(c *market.ChannelConfig) { c.Token[0]++ })},
		"payer without chain":    {market.FaultWrongChannel, 0, reconfigure(func(c *market.ChannelConfig) { c.Payer[0]++ })},
		"delay without chain":    {market.FaultWrongChannel, 0, reconfigure(func(c *market.ChannelConfig) { c.WithdrawDelay = 1 })},
		"lease unreadable":       {market.FaultBadDocument, 0, func(b *market.Bundle) { b.Lease = b.Quote }},
		"lease of another": {market.FaultWrongLease, 0, func(b *market.Bundle) {
			requote(b, func(*market.Quote) {})
			q := *b
			requote(&q, func(q *market.Quote) { q.Nonce[0]++ })
			b.Lease, b.ClientSignature, b.ProviderSignature = q.Lease, q.ClientSignature, q.ProviderSignature
		}},
		"client's signature":   {market.FaultBadSignature, 0, func(b *market.Bundle) { b.ClientSignature = b.ProviderSignature }},
		"provider's signature": {market.FaultBadSignature, 0, func(b *market.Bundle) { b.ProviderSignature = b.ClientSignature }},
	})
}

func TestTheFirstFaultInTheOrderOfReceiptsIsNamed(t *testing.T) {
	other := markettest.Bundle(markettest.Plan{Job: "other"})
	namesFirstFaults(t, map[string]tampered{
		"receipt unreadable":      {market.FaultBadDocument, 2, func(b *market.Bundle) { b.Receipts[1].Block = nil }},
		"receipt by another":      {market.FaultBadSignature, 2, func(b *market.Bundle) { b.Receipts[1].Provider[5]++ }},
		"countersigned by anyone": {market.FaultBadSignature, 2, func(b *market.Bundle) { b.Receipts[1].Client = b.Receipts[1].Provider }},
		"receipt of other lease":  {market.FaultWrongLease, 2, func(b *market.Bundle) { b.Receipts[1] = other.Receipts[1] }},
		"first receipt missing":   {market.FaultGap, 2, func(b *market.Bundle) { b.Receipts = b.Receipts[1:] }},
		"receipt missing":         {market.FaultGap, 3, func(b *market.Bundle) { b.Receipts = slices.Delete(b.Receipts, 1, 2) }},
		"receipts swapped":        {market.FaultReorder, 2, func(b *market.Bundle) { b.Receipts[0], b.Receipts[1] = b.Receipts[1], b.Receipts[0] }},
		"receipt twice":           {market.FaultReorder, 1, func(b *market.Bundle) { b.Receipts = slices.Insert(b.Receipts, 1, b.Receipts[0]) }},
		"receipt back again":      {market.FaultReorder, 1, func(b *market.Bundle) { b.Receipts = append(b.Receipts, b.Receipts[0]) }},
		"two receipts 1":          {market.FaultEquivocation, 1, func(b *market.Bundle) { b.Receipts = slices.Insert(b.Receipts, 1, twin(*b, 0)) }},
		"two receipts 1, later":   {market.FaultEquivocation, 1, func(b *market.Bundle) { b.Receipts = slices.Insert(b.Receipts, 2, twin(*b, 0)) }},
		"two last receipts":       {market.FaultEquivocation, 3, func(b *market.Bundle) { b.Receipts = append(b.Receipts, twin(*b, 2)) }},
		"previous of another":     {market.FaultWrongPrevious, 2, func(b *market.Bundle) { resign(b, 1, func(r *market.Receipt) { r.Previous[0]++ }) }},
		"previous of the first":   {market.FaultWrongPrevious, 1, func(b *market.Bundle) { resign(b, 0, func(r *market.Receipt) { r.Previous[0]++ }) }},
		"end cut off":             {market.FaultNotEnded, 2, func(b *market.Bundle) { b.Receipts = b.Receipts[:2] }},
		"no receipts":             {market.FaultNotEnded, 0, func(b *market.Bundle) { b.Receipts = nil }},
	})
}

func TestTheFirstFaultInAReceiptIsNamed(t *testing.T) {
	namesFirstFaults(t, map[string]tampered{
		"after the end":          {market.FaultAfterEnd, 3, func(b *market.Bundle) { resign(b, 1, func(r *market.Receipt) { r.Outcome = market.Cancelled }) }},
		"units fell":             {market.FaultUnitsFell, 2, func(b *market.Bundle) { resign(b, 1, func(r *market.Receipt) { r.Units = 999 }) }},
		"charge fell":            {market.FaultChargeFell, 2, func(b *market.Bundle) { resign(b, 1, func(r *market.Receipt) { r.Charged = market.NewAmount(99) }) }},
		"over-charge by 1":       {market.FaultOverCharge, 2, func(b *market.Bundle) { resign(b, 1, func(r *market.Receipt) { r.Charged = market.NewAmount(201) }) }},
		"over time by 1 ms":      {market.FaultOverTime, 2, func(b *market.Bundle) { resign(b, 1, func(r *market.Receipt) { r.Units = 600_001 }) }},
		"unknown outcome":        {market.FaultBadOutcome, 3, func(b *market.Bundle) { resign(b, 2, func(r *market.Receipt) { r.Outcome = 6 }) }},
		"failed, yet charged":    {market.FaultOverCharge, 3, func(b *market.Bundle) { resign(b, 2, func(r *market.Receipt) { r.Outcome = market.ProviderFailed }) }},
		"body of another":        {market.FaultBadHash, 2, func(b *market.Bundle) { b.Receipts[1].Body = b.Receipts[0].Body }},
		"body left out":          {market.FaultBadHash, 2, func(b *market.Bundle) { b.Receipts[1].Body = nil }},
		"body unreadable":        {market.FaultBadDocument, 2, rebody(1, []byte("[]"))},
		"success without status": {market.FaultBadOutcome, 3, rebody(2, []byte("{}"))},
		"success with status 1":  {market.FaultBadOutcome, 3, rebody(2, []byte(`{"exitCode":1}`))},
		"end without a body": {market.FaultBadHash, 3, func(b *market.Bundle) {
			resign(b, 2, func(r *market.Receipt) { r.BodyHash = market.Hash{} })
			b.Receipts[2].Body = nil
		}},
	})
}

func TestTheFirstFaultOfVouchersIsNamed(t *testing.T) {
	namesFirstFaults(t, map[string]tampered{
		"voucher unreadable": {market.FaultBadDocument, 2, func(b *market.Bundle) { b.Vouchers[1].Block = nil }},
		"voucher by another": {market.FaultBadSignature, 2, func(b *market.Bundle) {
			b.Vouchers[1] = markettest.SignVoucher(b.Chain, markettest.Signer(3), market.Voucher{})
		}},
		"voucher, souk's domain": {market.FaultBadSignature, 1, func(b *market.Bundle) {
			v := markettest.Must(market.DecodeVoucher(b.Vouchers[0].Block))
			b.Vouchers[0].Signature = markettest.Sign(markettest.Standard().Client, b.Chain.Digest(v.Hash()))
		}},
		"voucher elsewhere": {market.FaultWrongChannel, 2, func(b *market.Bundle) {
			b.Vouchers[1] = markettest.SignVoucher(b.Chain, markettest.Standard().Client, market.Voucher{Max: market.NewAmount(1)})
		}},
		"voucher fell": {market.FaultVoucherFell, 2, func(b *market.Bundle) { slices.Reverse(b.Vouchers) }},
	})
}

// reconfigure has the parties sign a quote that names a changed channel.
func reconfigure(change func(*market.ChannelConfig)) func(*market.Bundle) {
	return func(b *market.Bundle) {
		c := markettest.Must(market.DecodeChannelConfig(b.ChannelConfig))
		change(&c)
		b.ChannelConfig = c.Encode()
		requote(b, func(q *market.Quote) { q.Channel = b.Chain.ChannelID(c) })
	}
}

// rebody has the provider sign receipt i for another body.
func rebody(i int, body []byte) func(*market.Bundle) {
	return func(b *market.Bundle) {
		resign(b, i, func(r *market.Receipt) { r.BodyHash = market.BlockHash(body) })
		b.Receipts[i].Body = body
	}
}

// twin is another receipt with the sequence number of receipt i.
func twin(b market.Bundle, i int) market.SignedReceipt {
	b.Receipts = slices.Clone(b.Receipts)
	resign(&b, i, func(r *market.Receipt) { r.Units++ })
	return b.Receipts[i]
}

func TestAProviderThatFailedChargesWhatItHadSigned(t *testing.T) {
	for _, units := range [][]uint64{{1000, 2500}, {700}} {
		sum, f := verify(t, markettest.Bundle(markettest.Plan{Units: units, Outcome: market.ProviderFailed}))
		require.Nil(t, f)
		require.Equal(t, market.NewAmount(100*uint64(len(units)-1)), sum.Charged)
	}
}

func TestALeaseWithoutEndIsSummedUpAsFarAsItGoes(t *testing.T) {
	b := markettest.Bundle(markettest.Plan{Countersigned: 1})
	b.Receipts = b.Receipts[:2]
	sum, f := verify(t, b)
	require.Equal(t, market.FaultNotEnded, f.Code)
	require.Equal(t, market.NewAmount(200), sum.Charged)
	require.Equal(t, market.NewAmount(350), sum.Voucher)
}

func TestATickNeedsNoBody(t *testing.T) {
	b := markettest.Bundle(markettest.Plan{Units: []uint64{1000}})
	resign(&b, 0, func(r *market.Receipt) { r.Outcome, r.BodyHash = market.NotEnded, market.Hash{} })
	b.Receipts[0].Body = nil
	_, f := verify(t, b)
	require.Equal(t, market.FaultNotEnded, f.Code)
}

func TestEquivocationIsProvenByTwoReceipts(t *testing.T) {
	b := markettest.Bundle(markettest.Plan{})
	provider, client := markettest.Standard().Provider.Address(), markettest.Standard().Client.Address()
	a, other := b.Receipts[1], twin(b, 1)
	require.True(t, market.Equivocation(b.Chain, a, other, provider))
	require.False(t, market.Equivocation(b.Chain, a, a, provider), "the same receipt")
	require.False(t, market.Equivocation(b.Chain, a, b.Receipts[0], provider), "another sequence number")
	require.False(t, market.Equivocation(b.Chain, a, other, client), "not who signed")
	require.False(t, market.Equivocation(market.Chain{ID: 1}, a, other, provider), "another chain")
	require.False(t, market.Equivocation(b.Chain, a, markettest.Bundle(markettest.Plan{Job: "x"}).Receipts[1], provider), "another lease")
	forged := other
	forged.Provider = markettest.Sign(markettest.Signer(3), market.Hash{})
	require.False(t, market.Equivocation(b.Chain, a, forged, provider), "forged")
	require.False(t, market.Equivocation(b.Chain, forged, a, provider), "forged")
	require.False(t, market.Equivocation(b.Chain, a, market.SignedReceipt{}, provider), "no receipt")
}

// What a lease cost can't be changed by whoever has the file but no key.
func TestNoTamperingChangesTheTotal(t *testing.T) {
	other := markettest.Bundle(markettest.Plan{Job: "other", Units: []uint64{1500, 1600, 1700, 1800, 1900}, Countersigned: 2})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "receipts")
		plan := markettest.Plan{Countersigned: rapid.IntRange(0, n).Draw(t, "countersigned"), MinCharge: rapid.Uint64Range(0, 100).Draw(t, "minCharge")}
		var units uint64
		for range n {
			units += rapid.Uint64Range(0, 1500).Draw(t, "units")
			plan.Units = append(plan.Units, units)
		}
		plan.Outcome = market.Outcome(rapid.IntRange(1, 5).Draw(t, "outcome"))
		b := markettest.Bundle(plan)
		want, f := verify(t, b)
		require.Nil(t, f)

		tamper(t, &b, other)
		got, f := verify(t, b)
		if f == nil {
			require.Equal(t, []any{want.Units, want.Charged, want.Outcome, want.Receipts, want.Lease}, []any{got.Units, got.Charged, got.Outcome, got.Receipts, got.Lease})
			require.False(t, want.Voucher.Less(got.Voucher) || want.Countersigned.Less(got.Countersigned), "signatures can be lost, not made")
		}
	})
}

func tamper(t *rapid.T, b *market.Bundle, other market.Bundle) {
	last := len(b.Receipts) - 1
	i, j := rapid.IntRange(0, last).Draw(t, "i"), rapid.IntRange(0, last).Draw(t, "j")
	switch rapid.SampledFrom([]string{"drop", "cut", "twice", "swap", "foreign", "flip", "unsign", "voucher"}).Draw(t, "tamper") {
	case "drop":
		b.Receipts = slices.Delete(b.Receipts, i, i+1)
	case "cut":
		b.Receipts = b.Receipts[:i]
	case "twice":
		b.Receipts = slices.Insert(b.Receipts, j, b.Receipts[i])
	case "swap":
		b.Receipts[i], b.Receipts[j] = b.Receipts[j], b.Receipts[i]
	case "foreign":
		b.Receipts[i] = other.Receipts[i]
	case "unsign":
		b.Receipts[i].Client = market.Signature{}
	case "voucher":
		b.Vouchers = slices.Delete(b.Vouchers, i, i+1)
	case "flip":
		flip(t, b, i)
	}
}

// flip changes one bit of anything in the bundle.
func flip(t *rapid.T, b *market.Bundle, i int) {
	r, v := &b.Receipts[i], &b.Vouchers[i]
	parts := [][]byte{
		b.Request, b.Terms, b.Job, b.Quote, b.QuoteSignature[:], b.Lease, b.ClientSignature[:], b.ProviderSignature[:], b.ChannelConfig,
		b.Chain.Contract[:], r.Block, r.Provider[:], r.Client[:], r.Body, v.Block, v.Signature[:],
	}
	part := rapid.SampledFrom(parts).Draw(t, "part")
	if len(part) > 0 {
		bit := rapid.IntRange(0, 8*len(part)-1).Draw(t, "bit")
		part[bit/8] ^= 1 << (bit % 8)
	}
}
