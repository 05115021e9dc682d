package blob

import (
	"fmt"
	"strconv"

	"github.com/ipfs/go-cid"
)

// syncsOpen is how many full packs of a batch may wait for the disk while it
// takes further blocks: with Options.PackBytes, what a crash loses of a transfer.
const syncsOpen = 2

// batch writes blocks to packs. A pack gets its name after it was synced; those
// that are full do so by and by, all of them with flush. It keeps Collect away
// from every block put into it until close. One goroutine uses it at a time.
type batch struct {
	s      *Space
	open   *packWriter   // takes blocks; nil: none is begun
	sealed []*packWriter // wait for the disk, oldest first
	index  map[cid.Cid]struct{}
	kept   []cid.Cid
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
	if b.open == nil {
		var err error
		if b.open, err = b.s.newPack(); err != nil {
			b.s.giveBack(cost)
			return fmt.Errorf("write block %s: %w", blk.CID, err)
		}
	}
	b.open.add(blk, cost)
	b.index[blk.CID] = struct{}{}
	if b.open.size >= b.s.store.opts.PackBytes || len(b.open.blocks) >= packBlocks {
		b.seal()
		return b.commit(syncsOpen)
	}
	return nil
}

// newPack begins a pack under a temporary name.
func (s *Space) newPack() (*packWriter, error) {
	return newPackWriter(s.fs(), s.fs().PathJoin(s.tmp, strconv.FormatUint(s.tmpSeq.Add(1), 10)))
}

func (b *batch) seal() {
	if b.open != nil {
		b.open.seal()
		b.sealed = append(b.sealed, b.open)
		b.open = nil
	}
}

// commit names the sealed packs that are synced, and waits until at most open
// are left. After an error those that are left are dropped.
func (b *batch) commit(open int) error {
	for len(b.sealed) > 0 && (len(b.sealed) > open || len(b.sealed[0].done) > 0) {
		p := b.sealed[0]
		b.sealed = b.sealed[1:]
		err := <-p.done
		if err == nil {
			err = b.s.adopt(p)
		}
		for _, blk := range p.blocks {
			delete(b.index, blk.c)
		}
		if err != nil {
			b.s.discard(p)
			b.drop()
			return fmt.Errorf("store blocks: %w", err)
		}
	}
	return nil
}

// drop undoes what was not committed.
func (b *batch) drop() {
	b.seal()
	for _, p := range b.sealed {
		<-p.done //nolint:errcheck // how it went makes no difference any more
		b.s.discard(p)
	}
	b.sealed = nil
	clear(b.index)
}

// discard undoes a pack that got no name. A file that can't be removed goes
// when the space is next opened.
func (s *Space) discard(p *packWriter) {
	_ = s.fs().Remove(p.path)
	s.giveBack(p.cost)
}

// flush makes all blocks put so far durable. After an error some of those that
// were pending are not stored, and can be put again.
func (b *batch) flush() error {
	b.seal()
	if err := b.commit(0); err != nil {
		return err
	}
	return b.s.syncPacks()
}

// close drops what was not flushed and ends the guards.
func (b *batch) close() {
	b.drop()
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	for _, c := range b.kept {
		if b.s.guards[c]--; b.s.guards[c] == 0 {
			delete(b.s.guards, c)
		}
	}
	b.kept = nil
}

// adopt gives a synced pack its name, and its blocks to whoever looks for them.
// Those that another batch brought first are nobody's.
func (s *Space) adopt(p *packWriter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next
	if err := s.fs().Rename(p.path, s.packPath(n)); err != nil {
		return err
	}
	s.next++
	s.renamed++
	s.packs[n] = p.size
	s.release(p.cost - s.enter(n, p.blocks, false))
	return nil
}

// syncPacks makes every rename so far durable, also those of other batches
// whose blocks this one found in place.
func (s *Space) syncPacks() error {
	s.mu.Lock()
	upTo, done := s.renamed, s.synced
	s.mu.Unlock()
	if done >= upTo {
		return nil
	}
	if err := syncDir(s.fs(), s.packed); err != nil {
		return fmt.Errorf("sync blocks: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = max(s.synced, upTo)
	return nil
}
