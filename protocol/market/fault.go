package market

import "fmt"

// FaultCode names what is wrong with a bundle or a receipt, for programs.
type FaultCode string

// The codes. Each is about what its documents say, never about who is to blame.
const (
	FaultBadDocument   FaultCode = "bad_document"   // a block isn't the document that it should be
	FaultBadHash       FaultCode = "bad_hash"       // a block isn't the one that another document names
	FaultBadSignature  FaultCode = "bad_signature"  // a signature isn't that of its party
	FaultWrongNetwork  FaultCode = "wrong_network"  // a document belongs to another network
	FaultWrongChannel  FaultCode = "wrong_channel"  // a channel or voucher isn't that of the quote
	FaultWrongLease    FaultCode = "wrong_lease"    // a document belongs to another quote or lease
	FaultGap           FaultCode = "gap"            // a receipt is missing
	FaultReorder       FaultCode = "reorder"        // receipts stand in another order, or one stands twice
	FaultWrongPrevious FaultCode = "wrong_previous" // a receipt follows another one than the one before it
	FaultEquivocation  FaultCode = "equivocation"   // two different receipts have one sequence number
	FaultAfterEnd      FaultCode = "after_end"      // a receipt follows the one with the outcome
	FaultUnitsFell     FaultCode = "units_fell"     // units are below those of the receipt before
	FaultChargeFell    FaultCode = "charge_fell"    // the charge is below that of the receipt before
	FaultOverTime      FaultCode = "over_time"      // more running time than the quote allows
	FaultOverCharge    FaultCode = "over_charge"    // more money than the quote allows
	FaultBadOutcome    FaultCode = "bad_outcome"    // no such outcome, or the body doesn't bear it out
	FaultVoucherFell   FaultCode = "voucher_fell"   // a voucher is below the one before
	FaultNotEnded      FaultCode = "not_ended"      // no receipt with an outcome
)

// Fault is the first thing that is wrong.
type Fault struct {
	Code     FaultCode
	Seq      uint32 // of the receipt; for a voucher its place from 1; 0 for the other documents
	Sentence string // what is wrong and what would be right
}

func (f *Fault) Error() string { return f.Sentence }

func fault(code FaultCode, seq uint32, format string, args ...any) *Fault {
	return &Fault{Code: code, Seq: seq, Sentence: fmt.Sprintf(format, args...)}
}
