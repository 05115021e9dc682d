package ledger

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/ledger",
		limit.Size("record in the books", maxValue, "it is not written, and what needs it is refused"),
		limit.Size("name of a record in the books", maxName, "it is not written, and what needs it is refused"),
	)
}
