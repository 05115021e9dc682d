package receiptfile

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused = "the file is neither read nor written"
	return limit.In("protocol/receiptfile", limit.OnTheWire(
		limit.Size("receipt file", MaxFileBytes, refused),
		limit.Of("blocks in a receipt file", MaxBlocks, refused),
		limit.Size("block of a receipt file, with its CID", MaxBlockBytes, refused),
		limit.Of("receipts in a receipt file", MaxReceipts, refused),
		limit.Of("vouchers in a receipt file", MaxVouchers, refused),
	)...)
}
