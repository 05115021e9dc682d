package market

// CheckReceipt tells what is wrong with a lease's next receipt, nil if it may
// stand: that it belongs to leaseHash, follows prev (nil for the first), and
// charges no more than the quote allows. It looks at no signature and no
// body: check those first. Two receipts of one sequence number are an
// equivocation only if both are signed.
func (q Quote) CheckReceipt(prev *Receipt, next Receipt, leaseHash Hash) *Fault {
	if next.Lease != leaseHash {
		return fault(FaultWrongLease, next.Seq, "receipt %d belongs to lease %s, not to %s", next.Seq, next.Lease, leaseHash)
	}
	var before Receipt
	if prev != nil {
		before = *prev
	}
	if f := checkOrder(before, next); f != nil {
		return f
	}
	return q.checkFigures(before, next)
}

// checkOrder takes the zero receipt for what stands before the first one.
func checkOrder(before, next Receipt) *Fault {
	var previous Hash
	if before.Seq > 0 {
		previous = before.Hash()
	}
	switch {
	case before.Seq > 0 && next.Seq == before.Seq && next.Hash() != previous:
		return fault(FaultEquivocation, next.Seq, "there are two different receipts with sequence number %d", next.Seq)
	case next.Seq <= before.Seq:
		return fault(FaultReorder, next.Seq, "receipt %d stands after receipt %d", next.Seq, before.Seq)
	case before.Outcome != NotEnded:
		return fault(FaultAfterEnd, next.Seq, "receipt %d follows receipt %d, which ended the lease (%s)", next.Seq, before.Seq, before.Outcome)
	case next.Seq-before.Seq > 1:
		return fault(FaultGap, next.Seq, "receipt %d follows receipt %d: those between are missing", next.Seq, before.Seq)
	case next.Previous != previous:
		return fault(FaultWrongPrevious, next.Seq, "receipt %d follows a receipt with hash %s, the one before it has %s", next.Seq, next.Previous, previous)
	}
	return nil
}

func (q Quote) checkFigures(before, next Receipt) *Fault {
	most := q.Charge(next.Units)
	switch {
	case next.Outcome > Expired:
		return fault(FaultBadOutcome, next.Seq, "receipt %d has outcome number %d, the last one known is %d", next.Seq, uint8(next.Outcome), uint8(Expired))
	case next.Units < before.Units:
		return fault(FaultUnitsFell, next.Seq, "receipt %d counts %d units, fewer than the %d before", next.Seq, next.Units, before.Units)
	case next.Charged.Less(before.Charged):
		return fault(FaultChargeFell, next.Seq, "receipt %d charges %s, less than the %s before", next.Seq, next.Charged, before.Charged)
	case q.Unit == UnitMillis && next.Units > q.MaxMillis:
		return fault(FaultOverTime, next.Seq, "receipt %d counts %d ms of running, the quote allows %d", next.Seq, next.Units, q.MaxMillis)
	case most.Less(next.Charged):
		return fault(FaultOverCharge, next.Seq, "receipt %d charges %s, %d units cost at most %s", next.Seq, next.Charged, next.Units, most)
	case next.Outcome == ProviderFailed && next.Charged != before.Charged:
		return fault(FaultOverCharge, next.Seq, "receipt %d charges %s although the provider failed: nothing may come on top of the %s before", next.Seq, next.Charged, before.Charged)
	}
	return nil
}

// Equivocation tells whether a and b prove that the provider signed two
// different receipts of one lease with one sequence number. It needs nothing
// but the two receipts, and what the client signed doesn't matter.
func Equivocation(chain Chain, a, b SignedReceipt, provider Address) bool {
	ra, errA := DecodeReceipt(a.Block)
	rb, errB := DecodeReceipt(b.Block)
	if errA != nil || errB != nil || ra.Lease != rb.Lease || ra.Seq != rb.Seq || ra == rb {
		return false
	}
	return a.Provider.Verify(chain.Digest(ra.Hash()), provider) == nil &&
		b.Provider.Verify(chain.Digest(rb.Hash()), provider) == nil
}
