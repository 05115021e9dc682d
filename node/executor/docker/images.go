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

// brought is an image that souk brought to the daemon.
type brought struct {
	Owner   string   `json:",omitempty"` // whose archive it came from; empty of a pulled one
	Digests []string `json:",omitempty"` // that it was pulled by
	Found   bool     `json:",omitempty"` // the provider had it before, so it is not souk's to remove
	Size    int64    // bytes, unpacked
	Used    time.Time
}

// is says whether a digest names the image that has an ID.
func (b brought) is(id, digest string) bool {
	return id == digest || slices.Contains(b.Digests, digest)
}

// images brings images and keeps those that souk brought below a limit, the
// longest unused going first. What was on the daemon before is never touched, and
// only what somebody brought to souk is given to clients.
type images struct {
	exec *Executor
	path string // folder of imagesFile

	pulls    flights
	room     claims
	bringing chan struct{} // by the daemon; as many at once as it holds

	mu   sync.Mutex
	held map[string]int // by ID: being prepared
}

// loadsAtOnce is how many images the daemon unpacks at one time.
const loadsAtOnce = 3

func newImages(e *Executor) *images {
	return &images{exec: e, path: e.cfg.Dir, bringing: make(chan struct{}, loadsAtOnce)}
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

// turn waits until the daemon may load another image, for as long as ctx.
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
	if f(list); maps.EqualFunc(before, list, brought.equal) {
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

func (b brought) equal(o brought) bool {
	return b.Owner == o.Owner && b.Found == o.Found && b.Size == o.Size && b.Used.Equal(o.Used) && slices.Equal(b.Digests, o.Digests)
}

// note records an image that was brought just now, and makes room for it. The
// daemon's word on its size says nothing of how many files it has.
func (c *images) note(ctx context.Context, img image.InspectResponse, b brought) error {
	b.Size, b.Used = max(b.Size, img.Size), time.Now()
	err := c.change(func(list map[string]brought) {
		if known, ours := list[img.ID]; ours { // a daemon may name an image otherwise than its archive does
			b = b.also(known)
		}
		list[img.ID] = b
	})
	if err != nil {
		c.release(img.ID)
		return err
	}
	if err := c.evict(ctx, c.exec.cfg.CacheBytes); err != nil {
		c.exec.cfg.Log.Warn("old images could not be removed", "error", err)
	}
	return nil
}

// also is an image that was brought in another way besides: a pulled one is everybody's.
func (b brought) also(o brought) brought {
	if o.Owner == "" {
		b.Owner = ""
	}
	b.Found = b.Found || o.Found
	b.Digests = slices.Compact(slices.Sorted(slices.Values(slices.Concat(b.Digests, o.Digests))))
	return b
}

// again records that an image which is here was brought once more. One that isn't
// recorded yet is the provider's own.
func (c *images) again(img image.InspectResponse, b brought) error {
	err := c.change(func(list map[string]brought) {
		known, ours := list[img.ID]
		if !ours {
			known = brought{Owner: b.Owner, Found: true}
		}
		known.Used = time.Now()
		list[img.ID] = known.also(b)
	})
	if err != nil {
		c.release(img.ID)
	}
	return err
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
		if list[id].Found {
			continue
		}
		if most -= list[id].Size; most >= 0 || c.busy(id) {
			continue
		}
		gone, err := c.drop(ctx, id)
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

// drop removes an image. One that somebody has named since is theirs.
func (c *images) drop(ctx context.Context, id string) (gone bool, err error) {
	r, err := c.exec.api.ImageInspect(ctx, id)
	if errdefs.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if len(r.RepoTags) > 0 {
		return true, nil
	}
	_, err = c.exec.api.ImageRemove(ctx, id, client.ImageRemoveOptions{PruneChildren: true})
	switch {
	case errdefs.IsConflict(err): // in use
		return false, nil
	case err != nil && !errdefs.IsNotFound(err):
		return false, fmt.Errorf("the image %s could not be removed: %w", id, err)
	}
	return true, nil
}
