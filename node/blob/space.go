package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
)

// Space is the blocks and pins of one peer. It is safe for concurrent use.
//
// On disk: blocks/CID, pins/CID.until and tmp/N for blocks being written.
type Space struct {
	store  *Store
	name   string
	blocks string
	pinned string
	tmp    string
	tmpSeq atomic.Uint64

	mu     sync.Mutex
	used   int64                 // bytes of disk, reserved ones included
	pins   map[cid.Cid]time.Time // when each pin ends
	guards map[cid.Cid]int       // blocks that running batches need kept

	// A rename is durable once the directory was synced after it.
	renamed, synced uint64
}

func openSpace(s *Store, name string) (*Space, error) {
	dir := s.fs.PathJoin(s.dir, name)
	sp := &Space{
		store: s, name: name,
		blocks: s.fs.PathJoin(dir, "blocks"),
		pinned: s.fs.PathJoin(dir, "pins"),
		tmp:    s.fs.PathJoin(dir, "tmp"),
		guards: map[cid.Cid]int{},
	}
	if err := s.fs.RemoveAll(sp.tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range []string{sp.blocks, sp.pinned, sp.tmp} {
		if err := s.fs.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	for _, d := range []string{s.dir, dir, sp.blocks, sp.pinned} {
		if err := syncDir(s.fs, d); err != nil {
			return nil, err
		}
	}
	if err := sp.loadPins(); err != nil {
		return nil, err
	}
	return sp, sp.count()
}

// count adds up what is on disk.
func (s *Space) count() error {
	names, err := s.fs().List(s.blocks)
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := s.fs().Stat(s.fs().PathJoin(s.blocks, name))
		if err != nil {
			return err
		}
		s.used += diskCost(info.Size())
	}
	return nil
}

func (s *Space) fs() vfs.FS { return s.store.fs }

func (s *Space) path(c cid.Cid) string { return s.fs().PathJoin(s.blocks, c.String()) }

// diskCost is what n bytes take on a file system with 4 KiB blocks, so that a
// million one-byte blocks are not a megabyte. The name takes one as well.
func diskCost(n int64) int64 { return (max(n, 1) + 4095) &^ 4095 }

// Put stores a block durably, checking its hash. A block that is there already costs nothing.
// The errors are ErrInvalid, ErrQuota and those of the disk.
func (s *Space) Put(ctx context.Context, b Block) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := CheckCID(b.CID); err != nil {
		return err
	}
	if err := verify(b.CID, b.Data); err != nil {
		return err
	}
	w := s.newBatch()
	defer w.close()
	if err := w.put(b); err != nil {
		return err
	}
	return w.flush()
}

// Get reads a block and checks it against its CID. The errors are ErrNotFound,
// ErrCorrupt (the block is then gone), ErrInvalid for a CID that no space can
// hold, and those of the disk.
func (s *Space) Get(ctx context.Context, c cid.Cid) (Block, error) {
	if err := ctx.Err(); err != nil {
		return Block{}, err
	}
	b, err := s.read(c)
	if errors.Is(err, ErrCorrupt) {
		err = errors.Join(err, s.drop(c))
	}
	return b, err
}

// Has says whether the space has the block, without reading it.
func (s *Space) Has(c cid.Cid) bool {
	_, err := s.stat(c)
	return err == nil
}

// Size is the bytes of disk that the space takes, blocks being written included.
func (s *Space) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// stat is the size of a block that the space has.
func (s *Space) stat(c cid.Cid) (int64, error) {
	if err := CheckCID(c); err != nil {
		return 0, err
	}
	info, err := s.fs().Stat(s.path(c))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: %s", ErrNotFound, c)
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (s *Space) read(c cid.Cid) (Block, error) {
	if err := CheckCID(c); err != nil {
		return Block{}, err
	}
	f, err := s.fs().Open(s.path(c))
	if errors.Is(err, fs.ErrNotExist) {
		return Block{}, fmt.Errorf("%w: %s", ErrNotFound, c)
	}
	if err != nil {
		return Block{}, err
	}
	defer f.Close() // read only: closing can lose nothing
	info, err := f.Stat()
	if err != nil {
		return Block{}, err
	}
	if info.Size() > MaxBlock {
		return Block{}, fmt.Errorf("%w: %s has %d bytes", ErrCorrupt, c, info.Size())
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return Block{}, fmt.Errorf("read block %s: %w", c, err)
	}
	if verify(c, data) != nil {
		return Block{}, fmt.Errorf("%w: %s", ErrCorrupt, c)
	}
	return Block{CID: c, Data: data}, nil
}

// drop removes a damaged block, so that it is fetched again. It looks again
// under the lock: another reader may have dropped it and a writer put it back.
func (s *Space) drop(c cid.Cid) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.read(c); !errors.Is(err, ErrCorrupt) {
		return nil
	}
	_, err := s.remove(c)
	return err
}

// remove deletes a block and returns the bytes freed. The caller holds mu.
func (s *Space) remove(c cid.Cid) (int64, error) {
	size, err := s.stat(c)
	if err != nil {
		return 0, err
	}
	if err := s.fs().Remove(s.path(c)); err != nil {
		return 0, err
	}
	n := diskCost(size)
	s.release(n)
	return n, nil
}

// reserve counts n bytes before they are written.
func (s *Space) reserve(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if quota := s.store.opts.SpaceQuota; s.used+n > quota {
		return fmt.Errorf("%w: space %s holds %d bytes of at most %d", ErrQuota, s.name, s.used, quota)
	}
	if err := s.store.reserve(n); err != nil {
		return err
	}
	s.used += n
	return nil
}

// release gives n bytes back. The caller holds mu.
func (s *Space) release(n int64) {
	s.used -= n
	// Giving back can't fail.
	_ = s.store.reserve(-n)
}
