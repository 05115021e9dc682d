package blob

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

// A batch is flushed by itself at these sizes, which bound what a crash loses
// of a transfer and how many files are open at once.
const (
	batchBytes  = 8 << 20
	batchBlocks = 64
	syncsAtOnce = 8
)

// diskWrites names this package's writes in the file system's statistics.
const diskWrites vfs.DiskWriteCategory = "souk-blob"

// batch writes blocks to temporary files, and gives them their names together
// after all were synced. It keeps Collect away from every block put into it
// until close. One goroutine uses it at a time.
type batch struct {
	s       *Space
	pending []pendingBlock
	index   map[cid.Cid]struct{}
	bytes   int64
	kept    []cid.Cid
}

type pendingBlock struct {
	c    cid.Cid
	file vfs.File
	path string
	cost int64
}

func (s *Space) newBatch() *batch {
	return &batch{s: s, index: map[cid.Cid]struct{}{}}
}

// keep guards a block that is there already.
func (b *batch) keep(c cid.Cid) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.guards[c]++
	b.kept = append(b.kept, c)
}

// put takes a block that was verified. It is durable after the next flush.
func (b *batch) put(blk Block) error {
	if _, ok := b.index[blk.CID]; ok {
		return nil
	}
	b.keep(blk.CID) // before looking: Collect may run in between
	if b.s.Has(blk.CID) {
		return nil
	}
	cost := diskCost(int64(len(blk.Data)))
	if err := b.s.reserve(cost); err != nil {
		return err
	}
	p, err := b.write(blk, cost)
	if err != nil {
		b.drop(p)
		return fmt.Errorf("write block %s: %w", blk.CID, err)
	}
	b.pending = append(b.pending, p)
	b.index[blk.CID] = struct{}{}
	b.bytes += cost
	if b.bytes >= batchBytes || len(b.pending) >= batchBlocks {
		return b.flush()
	}
	return nil
}

func (b *batch) write(blk Block, cost int64) (pendingBlock, error) {
	fs := b.s.fs()
	p := pendingBlock{c: blk.CID, cost: cost}
	p.path = fs.PathJoin(b.s.tmp, strconv.FormatUint(b.s.tmpSeq.Add(1), 10))
	f, err := fs.Create(p.path, diskWrites)
	if err != nil {
		return p, err
	}
	p.file = f
	// vfs.File may scribble on what it writes.
	_, err = f.Write(bytes.Clone(blk.Data))
	return p, err
}

// drop undoes a write that was not committed. A temporary file that can't be
// removed goes when the space is next opened.
func (b *batch) drop(p pendingBlock) {
	if p.file != nil {
		_ = p.file.Close()
	}
	_ = b.s.fs().Remove(p.path)
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.release(p.cost)
}

// flush makes all blocks put so far durable. After an error some of those that
// were pending are not stored, and can be put again.
func (b *batch) flush() error {
	pending := b.pending
	b.pending, b.bytes = nil, 0
	clear(b.index)
	var g errgroup.Group
	g.SetLimit(syncsAtOnce)
	for i := range pending {
		g.Go(func() error {
			f := pending[i].file
			pending[i].file = nil
			return errors.Join(f.Sync(), f.Close())
		})
	}
	if err := g.Wait(); err != nil {
		for _, p := range pending {
			b.drop(p)
		}
		return fmt.Errorf("sync blocks: %w", err)
	}
	for i, p := range pending {
		if err := b.commit(p); err != nil {
			for _, p := range pending[i:] {
				b.drop(p)
			}
			return fmt.Errorf("store block %s: %w", p.c, err)
		}
	}
	return b.s.syncBlocks()
}

// commit gives a synced block its name.
func (b *batch) commit(p pendingBlock) error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if b.s.Has(p.c) { // another batch was first
		b.s.release(p.cost)
		_ = b.s.fs().Remove(p.path) // what stays goes when the space is next opened
		return nil
	}
	if err := b.s.fs().Rename(p.path, b.s.path(p.c)); err != nil {
		return err
	}
	b.s.renamed++
	return nil
}

// syncBlocks makes every rename so far durable, also those of other batches
// whose blocks this one found in place.
func (s *Space) syncBlocks() error {
	s.mu.Lock()
	upTo, done := s.renamed, s.synced
	s.mu.Unlock()
	if done >= upTo {
		return nil
	}
	if err := syncDir(s.fs(), s.blocks); err != nil {
		return fmt.Errorf("sync blocks: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = max(s.synced, upTo)
	return nil
}

// close drops what was not flushed and ends the guards.
func (b *batch) close() {
	for _, p := range b.pending {
		b.drop(p)
	}
	b.pending = nil
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	for _, c := range b.kept {
		if b.s.guards[c]--; b.s.guards[c] == 0 {
			delete(b.s.guards, c)
		}
	}
	b.kept = nil
}
