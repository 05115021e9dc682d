package blob

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/ipfs/go-cid"
)

// place is where a block is.
type place struct {
	pack uint64
	off  int64
	size uint32
	sum  uint32 // 0: unknown
}

// places says where each block of a space is. It has a lock of its own, which
// is held for no longer than a look takes, also by those who hold the space's.
type places struct {
	count *atomic.Int64 // of all spaces
	mu    sync.RWMutex
	of    map[cid.Cid]place
}

func (p *places) get(c cid.Cid) (place, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	at, ok := p.of[c]
	return at, ok
}

// put enters a block and tells whether it is new. A place that is known already
// is replaced only if over says so.
func (p *places) put(c cid.Cid, at place, over bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[cid.Cid]place{}
	}
	_, known := p.of[c]
	if !known {
		p.count.Add(1)
	}
	if !known || over {
		p.of[c] = at
	}
	return !known
}

func (p *places) remove(c cid.Cid) (place, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.of[c]
	if ok {
		p.count.Add(-1)
	}
	delete(p.of, c)
	return at, ok
}

// all is a copy.
func (p *places) all() map[cid.Cid]place {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return maps.Clone(p.of)
}
