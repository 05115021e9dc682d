package market

// Bundle is everything that a receipt file holds about one lease. Verify
// needs nothing else.
type Bundle struct {
	Network string
	Chain   Chain // NoChain(Network) where the network has none

	Request []byte // DAG-JSON blocks
	Terms   []byte
	Job     []byte

	Quote          []byte // EIP-712 blocks
	QuoteSignature Signature

	Lease             []byte
	ClientSignature   Signature
	ProviderSignature Signature

	ChannelConfig []byte

	Receipts []SignedReceipt // in order, from 1
	Vouchers []SignedVoucher // of the lease's channel, in the order in which they were signed
}

// SignedReceipt is a receipt with its body and whichever signatures there are.
type SignedReceipt struct {
	Block    []byte
	Provider Signature
	Client   Signature // zero where the client did not countersign
	Body     []byte    // DAG-JSON; empty where the receipt's body hash is 0
}

// SignedVoucher is a voucher with the client's signature.
type SignedVoucher struct {
	Block     []byte
	Signature Signature
}

// Summary is what a bundle proves, with no view on who is right.
type Summary struct {
	Network  string
	Lease    Hash
	Channel  Hash
	Provider Address
	Client   Address

	Unit     uint8 // what Units counts: UnitMillis or UnitMeter
	Units    uint64
	Charged  Amount // in the newest receipt
	Outcome  Outcome
	Receipts int

	CountersignedSeq uint32 // the newest receipt that the client signed too; 0 if none
	Countersigned    Amount // the charge in it
	Disputed         Amount // Charged less Countersigned
	Voucher          Amount // the highest voucher, over all leases of the channel
	Ceiling          Amount // the most that the lease could have cost
}
