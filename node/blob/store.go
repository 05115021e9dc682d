package blob

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"

	"souk/internal/pattern"
)

// Local is the name of the node's own space; the others are named by peer ID.
const Local = "local"

var spaceName = pattern.Lazy(`^[A-Za-z0-9]{1,128}$`)

// Options are a store's limits and what it runs on. Zero fields take the default.
type Options struct {
	// SpaceQuota is the most bytes of disk that one space takes, each block
	// rounded up to 4 KiB. Default 64 GiB.
	SpaceQuota int64
	// TotalQuota is the same for all spaces together. Default 256 GiB.
	TotalQuota int64
	// Blocks is the most blocks of all spaces together: each one takes about
	// 150 bytes of memory, however small it is. Default 1,048,576, which are
	// 256 GiB of full ones.
	Blocks int64
	// MaxContent is the most bytes of file content that one AddPath reads. Default 16 GiB.
	MaxContent int64
	// PackBytes is how many bytes of blocks one file takes before the next is
	// begun. Default 16 MiB.
	PackBytes int64
	// AddPin is how long AddPath pins what it added. Default 24 h.
	AddPin time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// FS is where the files are. Default vfs.Default, the operating system's.
	FS vfs.FS
}

func (o *Options) setDefaults() {
	const giB = 1 << 30
	setDefault(&o.SpaceQuota, 64*giB)
	setDefault(&o.TotalQuota, 256*giB)
	setDefault(&o.Blocks, maxBlocks)
	setDefault(&o.MaxContent, 16*giB)
	setDefault(&o.PackBytes, 16<<20)
	setDefault(&o.AddPin, 24*time.Hour)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Store holds the spaces of one node. It is safe for concurrent use, has no
// goroutines of its own and needs no closing.
type Store struct {
	dir  string
	opts Options
	fs   vfs.FS

	mu     sync.Mutex
	spaces map[string]*Space
	used   int64 // guarded by mu; bytes of disk in all spaces

	blocks atomic.Int64 // in all spaces
}

// Open opens the store in dir, making it if need be, and drops what writes
// cut short left behind. It reads the index of every pack of blocks.
func Open(dir string, opts Options) (*Store, error) {
	opts.setDefaults()
	if opts.SpaceQuota < 0 || opts.TotalQuota < 0 || opts.MaxContent < 0 || opts.Blocks < 0 || opts.PackBytes < 0 || opts.AddPin < 0 {
		return nil, errors.New("blob store: a limit is negative; it must be positive, or 0 for the default")
	}
	s := &Store{dir: dir, opts: opts, fs: opts.FS, spaces: map[string]*Space{}}
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make blob store: %w", err)
	}
	if err := syncDir(s.fs, s.fs.PathDir(dir)); err != nil {
		return nil, fmt.Errorf("make blob store: %w", err)
	}
	names, err := s.fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list blob store: %w", err)
	}
	for _, name := range names {
		if !spaceName().MatchString(name) {
			continue
		}
		if _, err := s.Space(name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Space returns the space of that name, a peer ID or Local, making it if need be.
// A name is 1 to 128 letters and digits.
func (s *Store) Space(name string) (*Space, error) {
	if !spaceName().MatchString(name) {
		return nil, fmt.Errorf("blob space %q: a name is 1 to 128 letters and digits", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp, ok := s.spaces[name]; ok {
		return sp, nil
	}
	sp, err := openSpace(s, name)
	if err != nil {
		return nil, fmt.Errorf("open blob space %s: %w", name, err)
	}
	s.spaces[name] = sp
	s.used += sp.used
	return sp, nil
}

// Size is the bytes of disk that all spaces take.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Collect runs Space.Collect on every space and returns the bytes freed. It
// goes on after a space that failed and returns all the errors.
func (s *Store) Collect(ctx context.Context, now time.Time) (int64, error) {
	s.mu.Lock()
	spaces := make([]*Space, 0, len(s.spaces))
	for _, sp := range s.spaces {
		spaces = append(spaces, sp)
	}
	s.mu.Unlock()
	var freed int64
	var errs []error
	for _, sp := range spaces {
		n, err := sp.Collect(ctx, now)
		freed += n
		if err != nil {
			errs = append(errs, fmt.Errorf("collect blob space %s: %w", sp.name, err))
		}
	}
	return freed, errors.Join(errs...)
}

// reserve counts n bytes more against the total, or fewer if n is negative.
func (s *Store) reserve(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && s.used+n > s.opts.TotalQuota {
		return fmt.Errorf("%w: all spaces hold %d bytes of at most %d", ErrQuota, s.used, s.opts.TotalQuota)
	}
	s.used += n
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open %s to sync it: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Export is Export of the owner's space: what a job finds is what its own
// client has brought.
func (s *Store) Export(ctx context.Context, owner string, root cid.Cid, dst string, maxBytes int64) error {
	space, err := s.Space(owner)
	if err != nil {
		return err
	}
	return space.Export(ctx, root, dst, maxBytes)
}
