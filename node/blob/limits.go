package blob

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused = "the data is refused"
	return limit.In("node/blob", append(limit.OnTheWire(
		limit.Size("block in the store", MaxBlock, refused),
		limit.Of("links in a block, so entries in a folder", MaxLinks, refused),
		limit.Of("blocks from a root to a leaf", MaxDepth, refused),
	),
		limit.Of("blocks of all spaces", maxBlocks, "the data is refused"),
		limit.Of("files and folders in a tree", MaxEntries, "the tree is refused before anything of it is written"),
		limit.Of("pieces of a tree", maxSteps, "what was written of it is removed"),
		limit.Size("name of a file", maxName, refused),
	)...)
}
