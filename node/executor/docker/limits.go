package docker

import "souk/internal/limit"

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const refused, elsewhere = "the job ends before its container is made", "another provider is tried"
	return limit.In("node/executor/docker",
		limit.Of("entries of an image's archive", maxEntries, refused),
		limit.Size("manifest of an image's archive", maxManifest, refused),
		limit.Size("configuration of an image", maxConfig, refused),
		limit.Of("layers of an image", maxLayers, refused),
		limit.Size("image, unpacked", defaultMaxImage, refused).By("docker.max_image"),
		limit.Size("memory for unpacking a layer of an image", zstdWindow, refused),
		limit.Of("volumes that an image declares", maxVolumes, refused),
		limit.Time("reaching an image's registry", dialTimeout, elsewhere),
		limit.Time("TLS handshake of an image's registry", dialTimeout, elsewhere),
		limit.Time("question to an image's registry, to the head of its answer", registryTimeout, elsewhere),
		limit.Time("silence of an image's registry", silence, elsewhere),
		limit.Size("head of a registry's answer", maxRegistryHead, elsewhere),
		limit.Size("registry's answer that is no layer", maxRegistryAnswer, "it is cut off, and so is not what was asked for"),
		limit.Of("open files of a process in a container", maxFiles, "the process can open no more"),
		limit.Of("processes and threads of a container with one core", basePids+pidsPerCPU, "it can start no more"),
		limit.Of("files on the disk of a container", maxInodes, "it can make no more"),
		limit.Of("folders in one another in a container's outputs", maxDepth, "those within are removed"),
	)
}
