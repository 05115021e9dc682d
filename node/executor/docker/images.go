package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

const imagesFile = "images.json" // what souk brought to this daemon, by image ID

// brought is an image that this node brought to the daemon.
type brought struct {
	Owner string `json:",omitempty"` // whose archive it came from; empty of a pulled one
	Ref   string `json:",omitempty"` // name@digest that it was pulled by
	Size  int64  // bytes, unpacked
	Used  time.Time
}

// images brings images and keeps those that souk brought below a limit, the
// longest unused going first. What was on the daemon before is never touched.
type images struct {
	exec *Executor
	path string // folder of imagesFile

	bringing chan struct{} // one image is brought at a time, so that limits hold

	mu   sync.Mutex
	held map[string]int // by ID: being prepared
}

// get gives the image of a Spec, brought first where it isn't here. It isn't
// evicted until it is released.
func (c *images) get(ctx context.Context, d daemon, dir string, spec executor.Spec) (image.InspectResponse, error) {
	var found image.InspectResponse
	var err error
	if spec.Image.Ref != "" {
		found, err = c.byRef(ctx, d, spec)
	} else {
		found, err = c.byArchive(ctx, d, dir, spec)
	}
	if err != nil {
		return found, err
	}
	if err := c.touch(found.ID); err != nil {
		c.release(found.ID)
		return found, err
	}
	return found, nil
}

// turn waits until no other image is being brought, for as long as ctx: another
// client's registry may be slow.
func (c *images) turn(ctx context.Context) (done func(), err error) {
	select {
	case c.bringing <- struct{}{}:
		return func() { <-c.bringing }, nil
	case <-ctx.Done():
		return nil, unable(ctx.Err(), "other jobs' images took too long on this provider, and this one's turn didn't come")
	}
}

func (c *images) hold(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = map[string]int{}
	}
	c.held[id]++
}

func (c *images) release(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[id]--; c.held[id] <= 0 {
		delete(c.held, id)
	}
}

// local holds an image that is on the daemon under the name or ID; nothing if none is.
func (c *images) local(ctx context.Context, name string) (found image.InspectResponse, ok bool, err error) {
	r, err := c.exec.api.ImageInspect(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return found, false, nil
	case err != nil:
		return found, false, fmt.Errorf("the daemon's images could not be read: %w", err)
	}
	c.hold(r.ID)
	return r.InspectResponse, true, nil
}

// allowed says whether an owner may run an image: one that came in a client's
// archive is that client's alone, whoever knows its ID.
func (c *images) allowed(id, owner string) (bool, error) {
	list, err := c.list()
	if err != nil {
		return false, err
	}
	b, ours := list[id]
	return !ours || b.Owner == "" || b.Owner == owner, nil
}

func (c *images) list() (map[string]brought, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *images) read() (map[string]brought, error) {
	list := map[string]brought{}
	err := control.Read(c.path, imagesFile, &list)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return list, nil
}

// change rewrites the list.
func (c *images) change(f func(map[string]brought)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, err := c.read()
	if err != nil {
		return err
	}
	before := maps.Clone(list)
	if f(list); maps.Equal(before, list) {
		return nil
	}
	return control.Write(c.path, imagesFile, list)
}

// touch notes that an image is used now; once a minute is enough.
func (c *images) touch(id string) error {
	now := time.Now()
	return c.change(func(list map[string]brought) {
		if b, ours := list[id]; ours && now.Sub(b.Used) > time.Minute {
			b.Used = now
			list[id] = b
		}
	})
}

// evict removes brought images, the longest unused first, until at most most
// bytes are left. What a container or another node uses stays.
func (c *images) evict(ctx context.Context, most int64) error {
	list, err := c.list()
	if err != nil {
		return err
	}
	ids := slices.SortedFunc(maps.Keys(list), func(a, b string) int {
		return cmp.Compare(list[b].Used.UnixNano(), list[a].Used.UnixNano())
	})
	var failed error
	for _, id := range ids {
		if most -= list[id].Size; most >= 0 || c.busy(id) {
			continue
		}
		gone, err := c.drop(ctx, id, list[id])
		failed = errors.Join(failed, err)
		if gone {
			failed = errors.Join(failed, c.change(func(l map[string]brought) { delete(l, id) }))
		}
	}
	return failed
}

func (c *images) busy(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[id] > 0
}

// drop takes away the name by which the image was brought, or an image without
// any name. One that somebody has tagged since is theirs.
func (c *images) drop(ctx context.Context, id string, b brought) (gone bool, err error) {
	r, err := c.exec.api.ImageInspect(ctx, id)
	if errdefs.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	name := cmp.Or(b.Ref, id)
	if b.Ref == "" && len(r.RepoTags) > 0 {
		return true, nil
	}
	_, err = c.exec.api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
	switch {
	case errdefs.IsConflict(err): // in use
		return false, nil
	case err != nil && !errdefs.IsNotFound(err):
		return false, fmt.Errorf("the image %s could not be removed: %w", name, err)
	}
	return true, nil
}
