package blob

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/ipfs/go-cid"
)

// wasteShare is the part of a pack that may be blocks which nobody needs: one
// in wasteShare bytes. With more of them the others are moved to a new pack.
const wasteShare = 4

// census is what of one pack is needed, and what isn't.
type census struct {
	live, dead []cid.Cid
	bytes      int64 // of live
}

// sweep deletes what is neither live nor guarded. The caller holds mu, so that
// no pack is added meanwhile.
func (s *Space) sweep(ctx context.Context, live map[cid.Cid]struct{}) (freed int64, err error) {
	packs := make(map[uint64]*census, len(s.packs))
	for n := range s.packs {
		packs[n] = &census{}
	}
	for c, at := range s.places.all() {
		in := packs[at.pack]
		if _, ok := live[c]; ok || s.guards[c] > 0 {
			in.live = append(in.live, c)
			in.bytes += int64(at.size)
		} else {
			in.dead = append(in.dead, c)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(packs)) {
		if err := ctx.Err(); err != nil {
			return freed, err
		}
		in := packs[n]
		waste := s.packs[n] - in.bytes
		if len(in.live) > 0 && (len(in.dead) == 0 && waste == 0 || waste*wasteShare < s.packs[n]) {
			continue
		}
		if err := s.move(in.live); err != nil {
			return freed, err
		}
		if err := s.removePack(n); err != nil {
			return freed, err
		}
		for _, c := range in.dead {
			freed += s.forget(c)
		}
	}
	return freed, nil
}

// move copies blocks to a new pack, in their order, and forgets those that are damaged.
func (s *Space) move(blocks []cid.Cid) error {
	slices.SortFunc(blocks, func(a, b cid.Cid) int {
		x, _ := s.places.get(a)
		y, _ := s.places.get(b)
		return cmp.Compare(x.off, y.off)
	})
	if len(blocks) == 0 {
		return nil
	}
	p, err := s.newPack()
	if err != nil {
		return err
	}
	for _, c := range blocks {
		b, err := s.read(c)
		if errors.Is(err, ErrCorrupt) {
			s.forget(c)
			continue
		}
		if err != nil {
			p.seal()
			return errors.Join(err, <-p.done, s.fs().Remove(p.path))
		}
		p.add(b, 0)
	}
	p.seal()
	if err := <-p.done; err != nil {
		return errors.Join(err, s.fs().Remove(p.path))
	}
	return s.replace(p)
}

// replace names a pack of blocks that were elsewhere, durably, before they are
// looked for there.
func (s *Space) replace(p *packWriter) error {
	n := s.next
	if err := s.fs().Rename(p.path, s.packPath(n)); err != nil {
		return errors.Join(err, s.fs().Remove(p.path))
	}
	s.next++
	s.packs[n] = p.size
	if err := syncDir(s.fs(), s.packed); err != nil {
		return err
	}
	s.enter(n, p.blocks, true)
	return nil
}

func (s *Space) removePack(n uint64) error {
	if err := s.fs().Remove(s.packPath(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(s.packs, n)
	return nil
}
