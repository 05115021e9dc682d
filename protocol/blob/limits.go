package blob

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("protocol/blob", limit.OnTheWire(
		limit.Size("block", MaxBlock, "malformed"),
		limit.Of("blocks in one frame", FrameBlocks, "malformed"),
		limit.Of("blocks to leave out of a transfer", maxSkip, "malformed"),
		limit.Size("CID of what is transferred", maxCID, "malformed"),
		limit.Time("one stream of a transfer", TransferTimeout, "the stream is reset; what is missing goes over another"),
		limit.Time("syncing what was put", SyncTimeout, "the stream is reset"),
	)...)
}
