package books

import (
	"souk/node/ledger"
	"souk/protocol/market"
)

// Numbers are the receipts that a side shows of a lease, so that its peer can
// adopt them: the newest one, and the newest countersigned one if that is another.
func Numbers(l ledger.Lease) (seqs []uint32) {
	if n := l.Countersigned.Seq; n > 0 {
		seqs = append(seqs, n)
	}
	if n := l.Newest.Seq; n > 0 && n != l.Countersigned.Seq {
		seqs = append(seqs, n)
	}
	return seqs
}

// Adopted is what a side's books lacked.
type Adopted struct {
	Writes
	Forgotten bool // the lease itself
	News      bool // anything at all
	Settled   bool // the countersignature on the last receipt
}

// AdoptAsProvider takes over a lease that this provider signed and no longer
// knows (known is nil), or a receipt or countersignature that its books lack.
// The process of a forgotten lease is gone, so it is over at what was signed.
func AdoptAsProvider(known *ledger.Lease, ch ledger.Channel, shown Shown, now uint64) (a Adopted) {
	a.Role = ledger.Provider
	l := shown.Lease
	if known != nil {
		l = *known
	} else {
		l.Role, l.Created = ledger.Provider, now
		l.State, l.Outcome, l.Lost = market.Closed, market.ProviderFailed, true
		l.Reason = "this ledger was restored from a backup that lacks the lease"
		a.Forgotten, a.News = true, true
		a.Channel, a.Lease = &ch, &l
		a.Quote = &ledger.Quote{
			Hash: shown.Quote.Hash(), Peer: l.Peer, Block: l.Quote, Signature: l.QuoteSignature, Terms: l.Terms,
			Channel: l.Channel, Config: ch.Config, ExpiresAt: shown.Quote.ExpiresAt, Lease: l.Hash,
		}
	}
	newer, signed := shown.lacks(l)
	if !newer && !signed {
		return a
	}
	r := *shown.Receipt
	if newer {
		ch.Signed = ch.Signed.Add(r.Charged).Sub(l.Newest.Charged)
		l.Newest = MarkOf(r)
	}
	if signed {
		ch.Due = ch.Due.Add(r.Charged).Sub(l.Countersigned.Charged)
		l.Countersigned = MarkOf(r)
	}
	if r.Outcome != market.NotEnded {
		l.Outcome, l.Lost, l.State = r.Outcome, false, market.Closed
		a.Settled = signed
	}
	a.News, a.Channel, a.Lease, a.Receipt = true, &ch, &l, &shown.Signed
	return a
}

// AdoptAsClient takes over a lease that this client signed and no longer knows
// (known is nil), or a countersignature that its books lack; and the provider's
// signature on a lease that was given up before its answer to the accept came. A
// forgotten lease belongs to no job any more, so nothing goes on with it.
func AdoptAsClient(known *ledger.Lease, ch ledger.Channel, shown Shown, now uint64) (a Adopted) {
	a.Role = ledger.Client
	l := shown.Lease
	if known != nil {
		l = *known
	} else {
		l.Role, l.State, l.Lost, l.Created, l.Ended = ledger.Client, market.Closed, true, now, now
		l.Reason = "this ledger lacked it; the provider showed it"
		l.Paid = shown.Quote.Part(market.Amount{}, shown.Terms.PrepayTicks, false)
		a.Forgotten, a.News = true, true
		a.Channel, a.Lease = &ch, &l
	}
	if l.State == market.Closed && len(l.ProviderSignature) == 0 {
		l.ProviderSignature = shown.Lease.ProviderSignature
		a.Lease = &l
	}
	if _, signed := shown.lacks(l); !signed {
		return a
	}
	r := *shown.Receipt
	ch.Due = ch.Due.Add(r.Charged).Sub(l.Countersigned.Charged)
	if r.Seq >= l.Newest.Seq {
		ch.Signed = ch.Signed.Add(r.Charged).Sub(l.Newest.Charged)
	}
	count(&l, shown.Quote, shown.Terms, r)
	if len(l.ProviderSignature) == 0 {
		l.ProviderSignature = shown.Lease.ProviderSignature
	}
	l.State = reached(l.State, r.Outcome)
	a.News, a.Channel, a.Lease, a.Receipt = true, &ch, &l, &shown.Signed
	return a
}

// reached is the state of a lease of which a countersigned receipt came to
// light: the process had started, and with an outcome it has ended.
func reached(s market.State, o market.Outcome) market.State {
	steps := []market.Event{market.Accepted, market.Prepare, market.Start}
	if o != market.NotEnded {
		steps = append(steps, market.End)
	}
	for _, e := range steps {
		if next, err := market.Next(s, e, market.Moment{}); err == nil { // whether it was in time was decided then
			s = next
		}
	}
	return s
}
