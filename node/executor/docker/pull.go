package docker

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/types/image"

	"souk/node/executor"
)

// byRef gives the image of a digest: one that is here by that digest, or one
// that is pulled by it.
func (c *images) byRef(ctx context.Context, d daemon, spec executor.Spec) (found image.InspectResponse, err error) {
	ref, err := name.NewDigest(spec.Image.Ref)
	if err != nil {
		return found, refuse("%.200q is no image with its digest pinned; name it as NAME@sha256:DIGEST", spec.Image.Ref)
	}
	for _, candidate := range []string{spec.Image.Ref, ref.DigestStr()} {
		found, here, err := c.local(ctx, candidate)
		if err != nil {
			return found, err
		}
		if !here {
			continue
		}
		if ok, err := c.allowed(found.ID, spec.Owner); err != nil || ok {
			return found, err
		}
		c.release(found.ID)
	}
	return found, refuse("this provider has no image %.200s", spec.Image.Ref)
}
