package audit_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/protocol/audit"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

// lease makes one lease as its two sides have it. All are of one channel, so
// each has all of the channel's vouchers.
func lease(name string, countersigned int) (client, provider market.Bundle) {
	b := markettest.Bundle(markettest.Plan{Job: name, Countersigned: countersigned})
	b.Vouchers = []market.SignedVoucher{voucher(b, 1000)}
	client, provider = b, b
	client.Receipts, provider.Receipts = slices.Clone(b.Receipts), slices.Clone(b.Receipts)
	return client, provider
}

func voucher(b market.Bundle, amount uint64) market.SignedVoucher {
	q := markettest.Must(market.DecodeQuote(b.Quote))
	return markettest.SignVoucher(b.Chain, markettest.Standard().Client, market.Voucher{Channel: q.Channel, Max: market.NewAmount(amount)})
}

func run(clients, providers []market.Bundle) audit.Report {
	return audit.Run([]audit.Book{{Name: "alice", Bundles: clients}}, []audit.Book{{Name: "bob", Bundles: providers}})
}

func TestBooksThatAgree(t *testing.T) {
	c1, p1 := lease("one", 3)
	c2, p2 := lease("two", 2)
	p2.Receipts[0].Client = market.Signature{} // only the newest countersignature need arrive
	report := run([]market.Bundle{c1, c2}, []market.Bundle{p2, p1})
	require.Empty(t, report.Problems)
	require.Equal(t, 2, report.Leases)
	require.Equal(t, 6, report.Receipts)
	require.Equal(t, 1, report.Channels)
	require.Equal(t, market.NewAmount(250+200), report.Countersigned)
	require.Equal(t, market.NewAmount(1000-450), report.Ahead)
	require.Equal(t, market.NewAmount(50), report.Owed)
}

func TestWhatDoesntFitIsNamed(t *testing.T) {
	type books struct{ c, p *market.Bundle }
	cases := map[string]struct {
		spoil func(books)
		drop  string
		says  string
	}{
		"a lease that its client forgot":   {drop: "client", says: "bob holds a lease that its client signed and doesn't know"},
		"a lease that its provider forgot": {drop: "provider", says: "alice holds a lease that its provider signed and doesn't know"},
		"a receipt that its provider forgot": {spoil: func(b books) {
			b.p.Receipts = b.p.Receipts[:2]
		}, says: "alice holds receipt 3, which bob signed and doesn't know"},
		"a countersignature that its client forgot": {spoil: func(b books) {
			b.c.Receipts[2].Client = market.Signature{}
		}, says: "bob holds a countersignature of receipt 3, which alice gave and doesn't know"},
		"a countersignature that never arrived": {spoil: func(b books) {
			b.p.Receipts[2].Client = market.Signature{}
		}, says: "alice has 250 countersigned, bob has 200"},
		"a voucher that its client forgot": {spoil: func(b books) {
			b.p.Vouchers = append(slices.Clone(b.p.Vouchers), voucher(*b.p, 2000))
		}, says: "bob holds a voucher over 2000, and alice knows of one over 1000"},
		"more countersigned than vouchered": {spoil: func(b books) {
			b.c.Vouchers = []market.SignedVoucher{voucher(*b.c, 249)}
			b.p.Vouchers = b.c.Vouchers
		}, says: "250 was countersigned and only 249 vouchered"},
		"a forged receipt": {spoil: func(b books) {
			b.p.Receipts[1].Provider[5] ^= 1
		}, says: "bob: the provider's signature of receipt 2"},
		"a missing receipt": {spoil: func(b books) {
			b.c.Receipts = slices.Delete(b.c.Receipts, 1, 2)
		}, says: "alice: receipt 3 follows receipt 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client, provider := lease("one", 3)
			clients, providers := []market.Bundle{client}, []market.Bundle{provider}
			if c.spoil != nil {
				c.spoil(books{&clients[0], &providers[0]})
			}
			switch c.drop {
			case "client":
				clients = nil
			case "provider":
				providers = nil
			}
			report := run(clients, providers)
			require.NotEmpty(t, report.Problems)
			require.Contains(t, report.Problems[0].Sentence, c.says)
		})
	}
}

func TestALeaseCountsOnce(t *testing.T) {
	c, p := lease("one", 3)
	report := audit.Run([]audit.Book{{Name: "alice", Bundles: []market.Bundle{c}}, {Name: "eve", Bundles: []market.Bundle{c}}}, []audit.Book{{Bundles: []market.Bundle{p}}})
	require.Len(t, report.Problems, 1)
	require.Contains(t, report.Problems[0].Sentence, "alice and eve both have the lease as its client")
	require.Equal(t, market.NewAmount(250), report.Countersigned)
}

// A receipt with another content under the same number is caught on either side.
func TestTwoVersionsOfAReceipt(t *testing.T) {
	c, p := lease("one", 1)
	other := markettest.Bundle(markettest.Plan{Job: "one", Countersigned: 1, Units: []uint64{1000, 1900, 2500}})
	c.Receipts = other.Receipts
	report := run([]market.Bundle{c}, []market.Bundle{p})
	require.NotEmpty(t, report.Problems)
	require.Contains(t, report.Problems[0].Sentence, "alice holds receipt 2, which bob signed and doesn't know")
}
