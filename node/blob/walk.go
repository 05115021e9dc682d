package blob

import (
	"context"
	"errors"
	"iter"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Limits bounds one DAG that is sent or received. Zero fields take the
// default; the values count each distinct block once.
type Limits struct {
	Bytes  int64 // of all blocks; default 17 GiB: 16 GiB of content and its inner nodes
	Blocks int   // default 262,144
	Depth  int   // blocks from the root to a leaf, both counted; default MaxDepth
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.Bytes, 17<<30)
	setDefault(&l.Blocks, 1<<18)
	setDefault(&l.Depth, MaxDepth)
	return l
}

// order says which block of a DAG comes next: depth first, a block before
// what it links to, links in the order in which the block has them. A block
// that occurs more than once comes where it is first met, and only there.
// Sender and receiver run the same order, so blocks travel without names.
type order struct {
	limits Limits
	todo   []step
	seen   map[cid.Cid]struct{}
	blocks int
	bytes  int64
}

type step struct {
	c     cid.Cid
	depth int
}

func newOrder(root cid.Cid, l Limits) (*order, error) {
	if err := CheckCID(root); err != nil {
		return nil, err
	}
	return &order{limits: l.withDefaults(), todo: []step{{root, 1}}, seen: map[cid.Cid]struct{}{}}, nil
}

// next is the block that is due; false after the last one.
func (o *order) next() (cid.Cid, bool) {
	for len(o.todo) > 0 {
		top := o.todo[len(o.todo)-1].c
		if _, seen := o.seen[top]; !seen {
			return top, true
		}
		o.todo = o.todo[:len(o.todo)-1]
	}
	return cid.Undef, false
}

// check looks at the block that is due, of size bytes and, unless it is raw,
// with data, and returns what it links to. It changes nothing.
func (o *order) check(size int64, data []byte) ([]*ipld.Link, error) {
	top := o.todo[len(o.todo)-1]
	switch {
	case o.blocks+1 > o.limits.Blocks:
		return nil, overLimit("the DAG has more than %d blocks", o.limits.Blocks)
	case o.bytes+size > o.limits.Bytes:
		return nil, overLimit("the DAG has more than %d bytes", o.limits.Bytes)
	}
	links, err := linksOf(top.c, data)
	if err == nil && len(links) > 0 && top.depth+1 > o.limits.Depth {
		err = invalid("the DAG is more than %d blocks deep", o.limits.Depth)
	}
	return links, err
}

// advance moves on after the block that was due and checked.
func (o *order) advance(size int64, links []*ipld.Link) {
	top := o.todo[len(o.todo)-1]
	o.todo = o.todo[:len(o.todo)-1]
	o.seen[top.c] = struct{}{}
	for i := len(links) - 1; i >= 0; i-- {
		o.todo = append(o.todo, step{links[i].Cid, top.depth + 1})
	}
	o.blocks++
	o.bytes += size
}

// getter reads a block, as Space.Get does.
type getter func(ctx context.Context, c cid.Cid) (Block, error)

// takeLocal moves on over a block that the space has, and returns its data
// unless it is raw and unread; get reads it.
func (o *order) takeLocal(ctx context.Context, s *Space, c cid.Cid, read bool, get getter) (Block, error) {
	b, size := Block{CID: c}, int64(0)
	var err error
	if c.Prefix().Codec == cid.Raw && !read {
		size, err = s.stat(c)
	} else {
		b, err = get(ctx, c)
		size = int64(len(b.Data))
	}
	if err != nil {
		return Block{}, err
	}
	links, err := o.check(size, b.Data)
	if err != nil {
		return Block{}, err
	}
	o.advance(size, links)
	return b, nil
}

// Walk yields the blocks of the DAG under root in transfer order: depth
// first, each distinct block once, after leaving out the first skip. It ends
// after its first error: ErrNotFound and ErrCorrupt where the space lacks a
// block, ErrTooLarge and ErrInvalid for a DAG over the limits.
func (s *Space) Walk(ctx context.Context, root cid.Cid, skip int, l Limits) iter.Seq2[Block, error] {
	return s.walk(ctx, root, skip, l, s.Get)
}

func (s *Space) walk(ctx context.Context, root cid.Cid, skip int, l Limits, get getter) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		o, err := newOrder(root, l)
		if err != nil {
			yield(Block{}, err)
			return
		}
		for c, more := o.next(); more; c, more = o.next() {
			err := ctx.Err()
			var b Block
			if err == nil {
				b, err = o.takeLocal(ctx, s, c, o.blocks >= skip, get)
			}
			if err != nil {
				yield(Block{}, err)
				return
			}
			if o.blocks > skip && !yield(b, nil) {
				return
			}
		}
	}
}

// absent says that an error means the block is not here and can be fetched.
func absent(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt)
}
