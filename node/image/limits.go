package image

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/image", limit.Size("archive of an image", MaxArchive, "the job is not submitted"))
}
