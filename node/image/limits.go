package image

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const unsubmitted = "the job is not submitted"
	return limit.In("node/image",
		limit.Size("archive of an image", MaxArchive, unsubmitted),
		limit.Time("finding an image's digest in the local Docker", daemonTimeout, "its registry is asked"),
		limit.Time("finding an image's digest in its registry", registryTimeout, unsubmitted),
		limit.Size("registry's answer about an image's digest or platform", maxAnswer, "it is cut off, and the platform isn't known before a provider pulls the image"),
	)
}
