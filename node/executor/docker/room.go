package docker

import (
	"fmt"
	"math"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	keepFree  = 1 << 30 // bytes that images leave on a disk,
	keepFiles = 20_000  // and files
)

var errFull = unable(fmt.Errorf("it would have less than %d MiB or %d files left", keepFree>>20, keepFiles), "this provider's disk has no room for the image")

// room is what a disk has left, or what something takes of it.
type room struct{ bytes, files int64 }

func (r *room) add(o room) {
	r.bytes += o.bytes
	r.files += o.files
}

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

// claims are what images that are being brought will take. All disks are counted as
// one, which is on the safe side.
type claims struct {
	mu    sync.Mutex
	taken room
}

// claim keeps room on the disk with path until it is released, by when it was taken or
// isn't wanted any more. Of a disk that isn't here, such as another machine's daemon's,
// nothing can be said.
func (c *claims) claim(path string, need room) (release func(), err error) {
	now, err := free(path)
	if err != nil {
		return func() {}, nil //nolint:nilerr // as above
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.bytes-c.taken.bytes-need.bytes < keepFree || now.files-c.taken.files-need.files < keepFiles {
		return nil, errFull
	}
	c.taken.add(need)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.taken.add(room{-need.bytes, -need.files})
	}, nil
}
