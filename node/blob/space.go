package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
)

// Space is the blocks and pins of one peer. It is safe for concurrent use.
//
// On disk: packs/N, pins/CID.until and tmp/N for packs being written. Which
// block is where is in memory; the packs tell it when the space is opened.
type Space struct {
	store  *Store
	name   string
	packed string // folder of the packs
	pinned string
	tmp    string
	tmpSeq atomic.Uint64

	mu     sync.Mutex
	used   int64                 // bytes of disk, reserved ones included
	pins   map[cid.Cid]time.Time // when each pin ends
	guards map[cid.Cid]int       // blocks that running batches need kept
	packs  map[uint64]int64      // bytes of blocks in each
	next   uint64                // number of the next pack

	// A rename is durable once the directory was synced after it.
	renamed, synced uint64

	places places
}

func openSpace(s *Store, name string) (*Space, error) {
	dir := s.fs.PathJoin(s.dir, name)
	sp := &Space{
		store: s, name: name,
		packed: s.fs.PathJoin(dir, "packs"),
		pinned: s.fs.PathJoin(dir, "pins"),
		tmp:    s.fs.PathJoin(dir, "tmp"),
		places: places{count: &s.blocks},
		guards: map[cid.Cid]int{},
		packs:  map[uint64]int64{},
	}
	if err := s.fs.RemoveAll(sp.tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range []string{sp.packed, sp.pinned, sp.tmp} {
		if err := s.fs.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	for _, d := range []string{s.dir, dir, sp.packed, sp.pinned} {
		if err := syncDir(s.fs, d); err != nil {
			return nil, err
		}
	}
	if err := sp.loadPins(); err != nil {
		return nil, err
	}
	return sp, sp.loadPacks()
}

// loadPacks finds out which blocks are there. A pack whose index is damaged
// gives none, and goes.
func (s *Space) loadPacks() error {
	names, err := s.fs().List(s.packed)
	if err != nil {
		return err
	}
	slices.Sort(names) // of two packs with one block the newer one counts
	for _, name := range names {
		n, ok := parsePack(name)
		if !ok {
			continue // not ours
		}
		s.next = max(s.next, n+1)
		blocks, err := readPack(s.fs(), s.packPath(n))
		if errors.Is(err, ErrCorrupt) {
			err = s.fs().Remove(s.packPath(n))
		} else if err == nil {
			s.packs[n] = sizeOf(blocks)
			s.used += s.enter(n, blocks, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func sizeOf(blocks []packed) (sum int64) {
	for _, b := range blocks {
		sum += b.size
	}
	return sum
}

// enter says that pack n has blocks, and gives the disk that they cost beyond
// what is counted. Where a block is in another pack too, over says that n counts.
func (s *Space) enter(n uint64, blocks []packed, over bool) (cost int64) {
	for _, b := range blocks {
		if s.places.put(b.c, place{n, b.off, uint32(b.size), b.sum}, over) { //nolint:gosec // at most MaxBlock
			cost += diskCost(b.size)
		}
	}
	return cost
}

func (s *Space) fs() vfs.FS { return s.store.fs }

func (s *Space) packPath(n uint64) string { return s.fs().PathJoin(s.packed, packName(n)) }

// diskCost is what a block of n bytes counts as: it is rounded up to 4 KiB, so
// that a million one-byte blocks, each of which takes memory too, are not a megabyte.
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
	at, ok := s.places.get(c)
	if !ok {
		return 0, fmt.Errorf("%w: %s", ErrNotFound, c)
	}
	return int64(at.size), nil
}

func (s *Space) read(c cid.Cid) (Block, error) {
	if err := CheckCID(c); err != nil {
		return Block{}, err
	}
	for {
		at, ok := s.places.get(c)
		if !ok {
			return Block{}, fmt.Errorf("%w: %s", ErrNotFound, c)
		}
		data, err := s.readAt(at)
		if errors.Is(err, fs.ErrNotExist) {
			if now, ok := s.places.get(c); !ok || now != at {
				continue // Collect has moved or removed it
			}
		}
		lacking := errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if lacking || err == nil && verify(c, data) != nil {
			return Block{}, fmt.Errorf("%w: %s", ErrCorrupt, c)
		}
		if err != nil {
			return Block{}, fmt.Errorf("read block %s: %w", c, err)
		}
		return Block{CID: c, Data: data}, nil
	}
}

func (s *Space) readAt(at place) ([]byte, error) {
	f, err := s.fs().Open(s.packPath(at.pack))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: closing can lose nothing
	data := make([]byte, at.size)
	n, err := f.ReadAt(data, at.off)
	if n == len(data) {
		return data, nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// drop forgets a damaged block, so that it is fetched again. It looks again
// under the lock: another reader may have dropped it and a writer put it back.
func (s *Space) drop(c cid.Cid) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.read(c); !errors.Is(err, ErrCorrupt) {
		return nil
	}
	s.forget(c)
	return nil
}

// forget takes a block out of the account and returns the bytes that it
// counted as. The caller holds mu, and sees to its pack.
func (s *Space) forget(c cid.Cid) int64 {
	at, ok := s.places.remove(c)
	if !ok {
		return 0
	}
	n := diskCost(int64(at.size))
	s.release(n)
	return n
}

// reserve makes room for one more block, of n bytes of disk, before it is written.
func (s *Space) reserve(n int64) error {
	if most := s.store.opts.Blocks; s.store.blocks.Load() >= most {
		return fmt.Errorf("%w: all spaces hold the %d blocks that they may", ErrQuota, most)
	}
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

// giveBack is release for who doesn't hold mu.
func (s *Space) giveBack(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(n)
}
