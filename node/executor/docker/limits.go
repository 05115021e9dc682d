package docker

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused = "the job ends before its container is made"
	return limit.In("node/executor/docker",
		limit.Of("entries of an image's archive", maxEntries, refused),
		limit.Size("manifest of an image's archive", maxManifest, refused),
		limit.Size("configuration of an image", maxConfig, refused),
		limit.Of("layers of an image", maxLayers, refused),
		limit.Size("image, unpacked", defaultMaxImage, refused).By("docker.max_image"),
		limit.Time("silence of an image's registry", silence, "another provider is tried"),
	)
}
