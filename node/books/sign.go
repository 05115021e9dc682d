package books

import (
	"souk/node/ledger"
	"souk/protocol/market"
)

// Statement is what a provider wants to say of a lease in its next receipt.
type Statement struct {
	Outcome market.Outcome // NotEnded in every receipt but the last
	Units   uint64         // ms of running
	Body    []byte         // the body's block
	Detail  string         // of the last receipt: why the lease ended, for people
	Outputs string         // of the last receipt: the outputs' CID, empty if there are none
}

// Sign makes a lease's next receipt, which says no less than the one before.
// ErrEnded: there is a last one already.
func (s Side) Sign(l ledger.Lease, ch ledger.Channel, q market.Quote, st Statement, now uint64) (Writes, error) {
	if Over(l.State) {
		return Writes{}, ErrEnded
	}
	before := l.Newest
	r := market.Receipt{
		Lease: l.Hash, Seq: before.Seq + 1, Previous: before.Hash, Units: max(before.Units, min(st.Units, q.MaxMillis)),
		Outcome: st.Outcome, BodyHash: market.BlockHash(st.Body),
	}
	r.Charged = Charge(l, q, st.Outcome, r.Units)
	sig, err := s.Signer.Sign(s.Chain.Digest(r.Hash()))
	if err != nil {
		return Writes{}, err
	}
	ch.Signed = ch.Signed.Add(r.Charged).Sub(before.Charged)
	l.Newest, l.Outcome = MarkOf(r), r.Outcome
	if r.Outcome != market.NotEnded {
		l.Reason, l.Outputs, l.Ended = st.Detail, st.Outputs, now
		if l.State, err = market.Next(l.State, market.End, market.Moment{Now: now}); err != nil {
			return Writes{}, err
		}
	}
	receipt := ledger.Receipt{Lease: l.Hash, Seq: r.Seq, Block: r.Encode(), ProviderSignature: sig[:], Body: st.Body}
	return Writes{Role: ledger.Provider, Channel: &ch, Receipt: &receipt, Lease: &l}, nil
}

// Charge is what a lease costs after that much running: nothing before the
// start, what is signed already where the provider failed, and never less than that.
func Charge(l ledger.Lease, q market.Quote, o market.Outcome, units uint64) market.Amount {
	if l.Started == 0 || o == market.ProviderFailed {
		return l.Newest.Charged
	}
	return market.MaxAmount(l.Newest.Charged, q.Charge(units))
}

// Abandon closes a provider's lease without a last receipt: its client was
// not heard of again, so nothing may be signed.
func Abandon(l ledger.Lease, o market.Outcome, now uint64) (ledger.Lease, error) {
	if Over(l.State) {
		return l, ErrEnded
	}
	l.Outcome, l.Lost, l.Ended = o, true, now
	l.Reason = "the client was not heard of again, so nothing more was signed"
	for _, e := range []market.Event{market.End, market.Close} {
		next, err := market.Next(l.State, e, market.Moment{Now: now})
		if err != nil {
			return l, err
		}
		l.State = next
	}
	return l, nil
}

// Claimable is what a channel's provider may claim: what is vouchered, and no
// more than it signed receipts for.
func Claimable(ch ledger.Channel) market.Amount { return market.MinAmount(ch.Voucher, ch.Signed) }
