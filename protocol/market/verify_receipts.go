package market

import "fmt"

func (v *verifier) checkReceipts() *Fault {
	for i, sr := range v.Receipts {
		r, f := v.readReceipt(i, sr)
		if f == nil {
			f = v.placeReceipt(i, r)
		}
		if f == nil {
			f = v.checkBody(r, sr.Body)
		}
		if f == nil {
			f = v.checkCountersignature(r, sr.Client)
		}
		if f != nil {
			return f
		}
		v.prev = &r
		v.hashes[r.Seq] = r.Hash()
		v.sum.Units, v.sum.Charged, v.sum.Outcome, v.sum.Receipts = r.Units, r.Charged, r.Outcome, i+1
		v.sum.Disputed = v.sum.Charged.Sub(v.sum.Countersigned)
	}
	return nil
}

// readReceipt decodes a receipt and makes sure that the provider signed it.
func (v *verifier) readReceipt(i int, sr SignedReceipt) (Receipt, *Fault) {
	r, err := DecodeReceipt(sr.Block)
	if err != nil {
		place := uint32(i) + 1 //nolint:gosec // a file holds far fewer
		return Receipt{}, fault(FaultBadDocument, place, "receipt %d can't be read: %v", place, err)
	}
	if err := sr.Provider.Verify(v.Chain.Digest(r.Hash()), v.quote.Provider); err != nil {
		return Receipt{}, fault(FaultBadSignature, r.Seq, "the provider's signature of receipt %d: %v", r.Seq, err)
	}
	return r, nil
}

// placeReceipt is CheckReceipt with what only the whole bundle can tell: a
// receipt that is out of order is either the same, another one, or early.
func (v *verifier) placeReceipt(i int, r Receipt) *Fault {
	f := v.quote.CheckReceipt(v.prev, r, v.sum.Lease)
	if f == nil {
		return nil
	}
	switch f.Code {
	case FaultReorder, FaultEquivocation:
		if seen, ok := v.hashes[r.Seq]; ok && seen != r.Hash() {
			return fault(FaultEquivocation, r.Seq, "there are two different receipts with sequence number %d: the provider %s signed both", r.Seq, v.quote.Provider)
		}
	case FaultGap:
		want := uint32(len(v.hashes)) + 1 //nolint:gosec // a file holds far fewer
		for _, later := range v.Receipts[i+1:] {
			if l, err := DecodeReceipt(later.Block); err == nil && l.Lease == r.Lease && l.Seq == want {
				return fault(FaultReorder, r.Seq, "receipt %d stands before receipt %d", r.Seq, want)
			}
		}
	}
	return f
}

func (v *verifier) checkBody(r Receipt, block []byte) *Fault {
	if len(block) == 0 && r.BodyHash.IsZero() && r.Outcome == NotEnded {
		return nil
	}
	if got := BlockHash(block); got != r.BodyHash {
		return fault(FaultBadHash, r.Seq, "the body of receipt %d has hash %s, the receipt names %s", r.Seq, got, r.BodyHash)
	}
	body, err := DecodeBody(block)
	if err != nil {
		return fault(FaultBadDocument, r.Seq, "the body of receipt %d can't be read: %v", r.Seq, err)
	}
	if err := body.BearsOut(r.Outcome); err != nil {
		return fault(FaultBadOutcome, r.Seq, "receipt %d: %v", r.Seq, err)
	}
	return nil
}

func (v *verifier) checkCountersignature(r Receipt, s Signature) *Fault {
	if s.IsZero() {
		return nil
	}
	if err := s.Verify(v.Chain.Digest(r.Hash()), v.quote.Client); err != nil {
		return fault(FaultBadSignature, r.Seq, "the client's signature of receipt %d: %v", r.Seq, err)
	}
	v.sum.CountersignedSeq, v.sum.Countersigned = r.Seq, r.Charged
	return nil
}

// BearsOut tells whether the body has what an outcome stands on: succeeded
// needs exit status 0; job_failed an exit status, or the cause that ended it.
func (b Body) BearsOut(o Outcome) error {
	switch {
	case o == Succeeded && (b.ExitCode == nil || *b.ExitCode != 0):
		return fmt.Errorf("%w body: the outcome %s needs exit status 0", ErrInvalid, o)
	case o == JobFailed && b.ExitCode == nil && b.Cause == "":
		return fmt.Errorf("%w body: the outcome %s needs an exit status or the limit that was hit", ErrInvalid, o)
	}
	return nil
}
