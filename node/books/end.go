package books

import (
	"souk/node/ledger"
	"souk/protocol/market"
)

// How a client's lease comes about and ends, beside Pay.

// Agree notes the provider's signature on a lease. Its clock has judged that
// the quote was still good.
func Agree(l ledger.Lease, q market.Quote, sig market.Signature, now uint64) (_ ledger.Lease, err error) {
	if l.State != market.Quoted {
		return l, nil
	}
	l.ProviderSignature = sig[:]
	l.State, err = market.Next(l.State, market.Accepted, market.Moment{Now: min(now, q.ExpiresAt), ExpiresAt: q.ExpiresAt})
	return l, err
}

// Ask notes that the start is about to be asked for: units are counted from
// then on. fresh says that this process made the lease; an earlier one, whose
// newer books were lost, may have asked as soon as it was made.
func Ask(l ledger.Lease, q market.Quote, fresh bool, now uint64) (_ ledger.Lease, err error) {
	l.Started = now
	if !fresh {
		l.Started = min(now, l.Created)
	}
	// Whether it is too late is judged by the provider's clock.
	l.State, err = market.Next(l.State, market.Prepare, market.Moment{Now: min(now, q.StartBy), StartBy: q.StartBy})
	return l, err
}

// Finishing notes that a lease's last receipt is here.
func Finishing(l ledger.Lease, now uint64) (_ ledger.Lease, err error) {
	if l.State != market.Finishing {
		l.State, err = market.Next(l.State, market.End, market.Moment{Now: now})
	}
	return l, err
}

// Decline closes a lease that didn't come to be. The channel's next need is
// without it.
func Decline(l ledger.Lease, why string, now uint64) (_ ledger.Lease, err error) {
	l.State, err = market.Next(l.State, market.GiveUp, market.Moment{Now: now})
	l.Paid, l.Reason, l.Ended = market.Amount{}, why, now
	return l, err
}

// GiveUp closes a lease on the client's side alone: its provider can't be
// reached, or doesn't do what it signed. Its part of the voucher counts as spent.
func GiveUp(l ledger.Lease, why string, now uint64) ledger.Lease {
	l.Lost = true
	return Break(l, l.Outcome, why, now)
}

// Break closes a lease without the provider's consent, as one that ended so.
func Break(l ledger.Lease, o market.Outcome, why string, now uint64) ledger.Lease {
	l.State, l.Outcome, l.Reason, l.Ended = market.Closed, o, why, now
	return l
}
