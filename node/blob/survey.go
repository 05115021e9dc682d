package blob

import (
	"context"

	"github.com/ipfs/go-cid"
)

// tally is what a tree says that it holds.
type tally struct {
	entries int   // files and folders, itself included
	bytes   int64 // of content, as its files claim
	height  int   // levels of folders and files
}

// survey adds up what a tree would write, each distinct folder read once
// however often it occurs, so that a bomb is refused before it goes off.
type survey struct {
	space *Space
	max   int64
	known map[cid.Cid]tally
}

func (v *survey) tree(ctx context.Context, c cid.Cid, depth int) (tally, error) {
	if depth > MaxDepth {
		return tally{}, invalid("the tree is more than %d blocks deep", MaxDepth)
	}
	if t, ok := v.known[c]; ok {
		return t, nil
	}
	t, err := v.look(ctx, c, depth)
	if err != nil {
		return tally{}, err
	}
	switch {
	case depth+t.height-1 > MaxDepth:
		return tally{}, invalid("the tree is more than %d blocks deep", MaxDepth)
	case t.entries > MaxEntries:
		return tally{}, invalid("the tree has more than %d files and folders", MaxEntries)
	case t.bytes > v.max:
		return tally{}, overLimit("it has more than %d bytes", v.max)
	}
	v.known[c] = t
	return t, nil
}

func (v *survey) look(ctx context.Context, c cid.Cid, depth int) (tally, error) {
	t := tally{entries: 1, height: 1}
	if c.Prefix().Codec == cid.Raw {
		var err error
		t.bytes, err = v.space.stat(c)
		return t, err
	}
	b, err := v.space.Get(ctx, c)
	if err != nil {
		return t, err
	}
	p, err := parse(c, b.Data)
	if err != nil {
		return t, err
	}
	if !p.dir {
		t.bytes = int64(p.size) //nolint:gosec // checkFile keeps it under 1<<62
		return t, nil
	}
	for _, l := range p.links {
		below, err := v.tree(ctx, l.Cid, depth+1)
		if err != nil {
			return t, err
		}
		t.entries += below.entries // at most MaxLinks times MaxEntries
		t.bytes = min(t.bytes+below.bytes, v.max+1)
		t.height = max(t.height, below.height+1)
	}
	return t, nil
}
