package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/types/image"

	"souk/node/executor"
)

// byRef gives the image of a digest: one that souk brought by that digest before,
// or one that is pulled by it now. What else is on the daemon is not for clients.
func (c *images) byRef(ctx context.Context, d daemon, spec executor.Spec) (found image.InspectResponse, err error) {
	ref, err := name.NewDigest(spec.Image.Ref)
	if err != nil {
		return found, refuse("%.200q is no image with its digest pinned; name it as NAME@sha256:DIGEST", spec.Image.Ref)
	}
	found, here, err := c.byDigest(ctx, ref.DigestStr(), spec.Owner)
	if err != nil || here {
		return found, err
	}
	if !c.exec.cfg.Pull {
		return found, refuse("this provider doesn't have the image %s and pulls none; bring it as an archive, or choose another provider", ref)
	}
	// Another registry's image of the same digest is no reason to wait for it: it may be slow on purpose.
	err = c.pulls.do(ctx, ref.Name(), spec.Progress, func(ctx context.Context, tell func(string)) (func(), error) {
		return c.pull(ctx, d, ref, tell)
	}, func() error {
		found, here, err = c.byDigest(ctx, ref.DigestStr(), spec.Owner)
		if err == nil && !here {
			err = fmt.Errorf("the daemon lost the image %s, which was pulled just now", ref)
		}
		return err
	})
	return found, err
}

// byDigest holds an image that souk brought: one that was pulled by that digest,
// whatever it was called there, or whose ID it is; an archive's by its ID, and for
// its owner alone.
func (c *images) byDigest(ctx context.Context, digest, owner string) (found image.InspectResponse, here bool, err error) {
	list, err := c.list()
	if err != nil {
		return found, false, err
	}
	for id, b := range list {
		if !b.is(id, digest) || b.Owner != "" && b.Owner != owner {
			continue
		}
		if found, here, err = c.local(ctx, id); here || err != nil {
			return found, here, err
		}
	}
	return found, false, nil
}

// pull brings an image from its registry and has the daemon load it. Nothing of it is
// handed to the daemon before all of it was verified. The image is held until it is released.
func (c *images) pull(ctx context.Context, d daemon, ref name.Digest, tell func(string)) (release func(), err error) {
	tell("asking for the image")
	way := c.exec.newGuarded()
	defer way.close()
	o, err := c.exec.ask(ctx, way, ref, d.Arch)
	if err != nil {
		return nil, err
	}
	dir := c.exec.pulls()
	unclaim, err := c.room.claim(dir, room{bytes: o.size, files: 1})
	if err != nil {
		return nil, err
	}
	defer unclaim()
	file, err := os.CreateTemp(dir, "")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	a, err := o.fetch(ctx, file, c.exec.cfg.MaxImage, tell)
	if err != nil {
		return nil, err
	}
	img, err := c.take(ctx, d, a, brought{Digests: []string{ref.DigestStr()}}, tell)
	if err != nil {
		return nil, err
	}
	return func() { c.release(img.ID) }, nil
}

// take has the daemon load an archive, unless it has that image, and records it. The
// image is held.
func (c *images) take(ctx context.Context, d daemon, a *archive, b brought, tell func(string)) (found image.InspectResponse, err error) {
	done, err := c.turn(ctx)
	if err != nil {
		return found, err
	}
	defer done()
	found, here, err := c.local(ctx, a.id())
	if err != nil {
		return found, err
	}
	if here {
		return found, c.again(found, b)
	}
	unclaim, err := c.room.claim(d.Root, a.needs())
	if err != nil {
		return found, err
	}
	defer unclaim()
	tell("loading the image")
	id, err := c.load(ctx, a)
	if err != nil {
		return found, err
	}
	found, here, err = c.local(ctx, id)
	if err == nil && !here {
		err = errors.New("the daemon lost the image that was loaded just now")
	}
	if err != nil {
		return found, err
	}
	b.Size = a.takes.bytes
	return found, c.note(ctx, found, b)
}

// needs is what an archive takes on the daemon's disk, packed and unpacked.
func (a *archive) needs() room {
	need := a.takes
	for _, at := range a.layers {
		need.bytes += at.size
	}
	return need
}

// pulls is the folder for what is being pulled.
func (e *Executor) pulls() string { return filepath.Join(e.cfg.Dir, "pulls") }
