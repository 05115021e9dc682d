package docker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"souk/node/executor"
)

const (
	tellEvery = 500 * time.Millisecond // of progress
	watchDisk = time.Second
	keepFree  = 1 << 30 // bytes that an image leaves on the daemon's disk,
	keepFiles = 20_000  // and files
)

// byRef gives the image of a digest: one that is here by that digest, or one
// that is pulled by it.
func (c *images) byRef(ctx context.Context, d daemon, spec executor.Spec) (found image.InspectResponse, err error) {
	ref, err := name.NewDigest(spec.Image.Ref)
	if err != nil {
		return found, refuse("%.200q is no image with its digest pinned; name it as NAME@sha256:DIGEST", spec.Image.Ref)
	}
	found, here, err := c.byDigest(ctx, ref, spec.Owner)
	if err != nil || here {
		return found, err
	}
	if !c.exec.cfg.Pull {
		return found, refuse("this provider doesn't have the image %s and pulls none; bring it as an archive, or choose another provider", ref)
	}
	tell(spec, "asking for the image")
	offer, err := c.exec.ask(ctx, ref, d.Arch)
	if err != nil {
		return found, err
	}
	done, err := c.turn(ctx)
	if err != nil {
		return found, err
	}
	defer done()
	if found, here, err := c.byDigest(ctx, ref, spec.Owner); err != nil || here {
		return found, err // another job brought it meanwhile
	}
	before, statErr := free(d.Root)
	if err := c.pull(ctx, d, ref, offer, spec); err != nil {
		return found, err
	}
	files := int64(0)
	if after, err := free(d.Root); err == nil && statErr == nil {
		files = max(before.files-after.files, 0)
	}
	if found, here, err = c.local(ctx, ref.Name()); err != nil {
		return found, err
	}
	if !here {
		return found, fmt.Errorf("the daemon lost the image %s, which was pulled just now", ref)
	}
	return found, c.keepPulled(ctx, ref, found, files)
}

// keepPulled records a pulled image of so many files, or gives it up if it is too
// big unpacked.
func (c *images) keepPulled(ctx context.Context, ref name.Digest, img image.InspectResponse, files int64) error {
	b := brought{Ref: ref.Name(), Size: files * fileBytes}
	if img.Size <= c.exec.cfg.MaxImage {
		return c.note(ctx, img, b)
	}
	c.release(img.ID)
	_, err := c.drop(ctx, img.ID, b)
	return errors.Join(refuse("the image %s has %d MiB unpacked, and this provider takes images up to %d MiB", ref, img.Size>>20, c.exec.cfg.MaxImage>>20), err)
}

// byDigest holds an image that is here: its ID is the digest, or it came from a
// registry by that digest, whatever it was called there.
func (c *images) byDigest(ctx context.Context, ref name.Digest, owner string) (found image.InspectResponse, here bool, err error) {
	list, err := c.exec.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return found, false, fmt.Errorf("the daemon's images could not be read: %w", err)
	}
	digest := ref.DigestStr()
	for _, s := range list.Items {
		match := s.ID == digest
		for _, known := range s.RepoDigests {
			match = match || strings.HasSuffix(known, "@"+digest)
		}
		if !match {
			continue
		}
		ok, err := c.allowed(s.ID, owner)
		if err != nil {
			return found, false, err
		}
		if ok {
			return c.local(ctx, s.ID)
		}
	}
	return found, false, nil
}

// pull has the daemon pull an image. It ends a pull that takes more of the disk
// than the limit on images: how big an image is unpacked is known only afterwards.
func (c *images) pull(ctx context.Context, d daemon, ref name.Digest, o offered, spec executor.Spec) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		guardDisk(ctx, d.Root, c.exec.cfg.MaxImage+o.size, cancel)
	}()
	defer func() {
		cancel(nil)
		<-watched
	}()
	answer, err := c.exec.api.ImagePull(ctx, ref.Name(), client.ImagePullOptions{
		RegistryAuth: o.auth, Platforms: []ocispec.Platform{{OS: "linux", Architecture: d.Arch}},
	})
	if err != nil {
		return pullFault(ctx, ref, err)
	}
	defer answer.Close()
	p := progress{spec: spec, total: o.size, layers: map[string]int64{}}
	for m, err := range answer.JSONMessages(ctx) {
		switch {
		case err != nil:
			return pullFault(ctx, ref, err)
		case m.Error != nil:
			return pullFault(ctx, ref, m.Error)
		}
		p.take(m)
	}
	if ctx.Err() != nil {
		return pullFault(ctx, ref, ctx.Err())
	}
	return nil
}

func pullFault(ctx context.Context, ref name.Digest, err error) error {
	var fault *executor.JobError
	if cause := context.Cause(ctx); errors.As(cause, &fault) || errors.Is(cause, errFull) {
		return cause
	}
	// Docker repeats what it was answered, and a registry may have sent it anywhere.
	return unable(err, "this provider's Docker could not pull the image %s", ref)
}

var errFull = unable(fmt.Errorf("it would have less than %d MiB or %d files left", keepFree>>20, keepFiles), "this provider's disk has no room for the image")

// guardDisk ends what it watches over once the disk with the daemon's folder has
// lost more than most bytes, files counted as such. A daemon elsewhere has no such folder here.
func guardDisk(ctx context.Context, root string, most int64, end context.CancelCauseFunc) {
	before, err := free(root)
	if err != nil {
		return
	}
	t := time.NewTicker(watchDisk)
	defer t.Stop()
	for {
		now, err := free(root)
		switch {
		case err != nil:
		case before.bytes-now.bytes > most, (before.files-now.files)*fileBytes > most:
			end(refuse("the image takes more room unpacked than this provider allows, %d MiB", most>>20))
			return
		case now.bytes < keepFree, now.files < keepFiles:
			end(errFull)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// room is what a disk has left, or what something takes of it.
type room struct{ bytes, files int64 }

func free(path string) (room, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return room{}, err
	}
	left := room{int64(st.Bavail) * st.Bsize, int64(min(st.Ffree, math.MaxInt64))} //nolint:gosec // sizes of disks
	if st.Files == 0 {                                                             // one that doesn't count them
		left.files = math.MaxInt64
	}
	return left, nil
}

// progress sums up what the daemon tells of each layer.
type progress struct {
	spec   executor.Spec
	total  int64
	layers map[string]int64
	told   time.Time
}

// take notes a message and passes the sum on, not too often.
func (p *progress) take(m jsonstream.Message) {
	if m.ID == "" || m.Progress == nil || len(p.layers) > maxLayers {
		return
	}
	p.layers[m.ID] = max(p.layers[m.ID], m.Progress.Current) // unpacking counts anew
	if time.Since(p.told) < tellEvery {
		return
	}
	p.told = time.Now()
	var sum int64
	for _, n := range p.layers {
		sum += n
	}
	tell(p.spec, "pulling %d of %d MiB", min(sum, p.total)>>20, p.total>>20)
}
