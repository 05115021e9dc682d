// Package audit proves that the books of a market's two sides fit together, or
// names where they don't.
//
// It knows nothing of nodes, ledgers or streams: it reads what both sides
// exported, believes no figure that isn't signed, and imports protocol/market
// alone, so that a mistake of the node's book-keeping isn't repeated here.
//
// What it proves, for books that were exported after both sides had exchanged
// the status of their channels: each lease stands alone (market.Bundle.Verify);
// both sides know it; no promise that one side holds is unknown to its maker;
// no receipt is missing, stands twice or has two versions; and what was
// countersigned is the same on both sides, per lease, per channel and in all,
// and covered by the channel's vouchers. What it can't see is a lease that
// neither side exported.
package audit

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"souk/protocol/market"
)

// Book is what one node exported as one side of its leases: a bundle a lease.
type Book struct {
	Name    string // for people
	Bundles []market.Bundle
}

// Report is what an audit found.
type Report struct {
	Leases        int
	Receipts      int
	Channels      int
	Countersigned market.Amount // over all leases, as both sides have it
	// Ahead is the most that a channel's vouchers allow beyond what was
	// countersigned on its leases: what its client could lose there.
	Ahead market.Amount
	// Owed is the most that a lease's receipts charge beyond what was
	// countersigned on it: what its provider could lose there.
	Owed     market.Amount
	Problems []Problem // none: the books are right
}

// Problem is one thing that doesn't fit.
type Problem struct {
	Lease    market.Hash `json:"lease"` // zero where it is about a channel
	Channel  market.Hash `json:"channel"`
	Sentence string      `json:"sentence"`
}

// side is one lease as one book has it.
type side struct {
	book     string
	bundle   market.Bundle
	sum      market.Summary
	receipts []market.Receipt
}

// auditor is one run.
type auditor struct {
	report    Report
	clients   map[market.Hash]*side // by lease
	providers map[market.Hash]*side
}

// Run compares the books of clients with those of providers.
func Run(clients, providers []Book) Report {
	a := auditor{}
	a.clients = a.read("client", clients)
	a.providers = a.read("provider", providers)
	all := maps.Clone(a.clients)
	maps.Copy(all, a.providers)
	a.report.Leases = len(all)
	for _, lease := range slices.SortedFunc(maps.Keys(all), compare) {
		a.lease(lease)
	}
	a.channels()
	return a.report
}

func compare(x, y market.Hash) int { return slices.Compare(x[:], y[:]) }

func (a *auditor) problem(s *side, format string, args ...any) {
	a.report.Problems = append(a.report.Problems, Problem{Lease: s.sum.Lease, Channel: s.sum.Channel, Sentence: fmt.Sprintf(format, args...)})
}

// read verifies each bundle for itself.
func (a *auditor) read(role string, books []Book) map[market.Hash]*side {
	sides := map[market.Hash]*side{}
	for _, book := range books {
		for _, bundle := range book.Bundles {
			s := &side{book: cmp.Or(book.Name, role), bundle: bundle}
			var err error
			s.sum, err = bundle.Verify()
			var f *market.Fault
			if err != nil && (!errors.As(err, &f) || f.Code != market.FaultNotEnded) {
				a.problem(s, "%s: %v", s.book, err)
				continue
			}
			if other := sides[s.sum.Lease]; other != nil {
				a.problem(s, "%s and %s both have the lease as its %s", other.book, s.book, role)
				continue
			}
			for _, signed := range bundle.Receipts {
				r, _ := market.DecodeReceipt(signed.Block) // Verify has read it
				s.receipts = append(s.receipts, r)
			}
			sides[s.sum.Lease] = s
		}
	}
	return sides
}

// lease compares the two sides of one.
func (a *auditor) lease(lease market.Hash) {
	c, p := a.clients[lease], a.providers[lease]
	switch {
	case c == nil:
		a.problem(p, "%s holds a lease that its client signed and doesn't know", p.book)
		return
	case p == nil:
		a.problem(c, "%s holds a lease that its provider signed and doesn't know", c.book)
		return
	}
	a.report.Receipts += len(p.receipts)
	a.report.Countersigned = a.report.Countersigned.Add(c.sum.Countersigned)
	a.report.Owed = most(a.report.Owed, p.sum.Charged.Sub(p.sum.Countersigned))
	for i, r := range c.receipts {
		if i >= len(p.receipts) || p.receipts[i].Hash() != r.Hash() {
			a.problem(c, "%s holds receipt %d, which %s signed and doesn't know", c.book, r.Seq, p.book)
			break
		}
	}
	for i, signed := range p.bundle.Receipts {
		if signed.Client.IsZero() {
			continue
		}
		if i >= len(c.bundle.Receipts) || c.bundle.Receipts[i].Client.IsZero() {
			a.problem(p, "%s holds a countersignature of receipt %d, which %s gave and doesn't know", p.book, p.receipts[i].Seq, c.book)
			break
		}
	}
	if c.sum.Countersigned != p.sum.Countersigned {
		a.problem(c, "%s has %s countersigned, %s has %s", c.book, c.sum.Countersigned, p.book, p.sum.Countersigned)
	}
	if c.sum.Outcome != market.NotEnded && c.sum.Outcome != p.sum.Outcome {
		a.problem(c, "%s says %s, %s says %s", c.book, c.sum.Outcome, p.book, p.sum.Outcome)
	}
}

func most(x, y market.Amount) market.Amount {
	if x.Less(y) {
		return y
	}
	return x
}

// account is a channel, over all its leases.
type account struct {
	any        *side
	client     market.Amount // countersigned, as clients have it
	provider   market.Amount
	signed     market.Amount // the highest voucher that the client knows of
	held       market.Amount // the highest that the provider holds
	heldBy     string
	signedLess string
}

// channels compares the sums over the leases of each channel.
func (a *auditor) channels() {
	accounts := map[market.Hash]*account{}
	of := func(s *side) *account {
		if accounts[s.sum.Channel] == nil {
			accounts[s.sum.Channel] = &account{any: s}
		}
		return accounts[s.sum.Channel]
	}
	for _, s := range a.clients {
		x := of(s)
		x.client, x.signed, x.signedLess = x.client.Add(s.sum.Countersigned), most(x.signed, s.sum.Voucher), s.book
	}
	for _, s := range a.providers {
		x := of(s)
		x.provider, x.held, x.heldBy = x.provider.Add(s.sum.Countersigned), most(x.held, s.sum.Voucher), s.book
	}
	a.report.Channels = len(accounts)
	for _, id := range slices.SortedFunc(maps.Keys(accounts), compare) {
		a.account(accounts[id])
	}
}

func (a *auditor) account(x *account) {
	about := *x.any
	about.sum.Lease = market.Hash{}
	switch {
	case x.signed.Less(x.held):
		a.problem(&about, "%s holds a voucher over %s, and %s knows of one over %s", x.heldBy, x.held, cmp.Or(x.signedLess, "its client"), x.signed)
	case x.client != x.provider:
		a.problem(&about, "the leases of a channel come to %s on the client's side and to %s on the provider's", x.client, x.provider)
	case x.signed.Less(x.client):
		a.problem(&about, "%s was countersigned and only %s vouchered", x.client, x.signed)
	default:
		a.report.Ahead = most(a.report.Ahead, x.signed.Sub(x.client))
	}
}
