package blob

import (
	"context"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
)

// reader reads blocks for who checks them against their CIDs anyway, such as
// the peer that they are sent to. What a block links to is read as by
// Space.Get; of the others, which are most, it looks whether the disk damaged
// them, and what it gives is good until the next one is read. One goroutine
// uses it.
type reader struct {
	s    *Space
	pack uint64   // whose file it is
	file vfs.File // nil: none is open
	buf  []byte
}

func (r *reader) get(ctx context.Context, c cid.Cid) (Block, error) {
	if c.Prefix().Codec == cid.Raw && ctx.Err() == nil {
		if data, ok := r.leaf(c); ok {
			return Block{CID: c, Data: data}, nil
		}
	}
	return r.s.Get(ctx, c)
}

// leaf reads a block that links to nothing. Where anything is amiss it leaves
// it to Get to find out what.
func (r *reader) leaf(c cid.Cid) ([]byte, bool) {
	at, ok := r.s.places.get(c)
	if !ok || at.sum == 0 || !r.open(at.pack) {
		return nil, false
	}
	if r.buf == nil {
		r.buf = make([]byte, MaxBlock)
	}
	data := r.buf[:at.size]
	n, _ := r.file.ReadAt(data, at.off)
	return data, n == len(data) && crc32.Checksum(data, castagnoli) == at.sum
}

func (r *reader) open(pack uint64) bool {
	if r.file != nil && r.pack == pack {
		return true
	}
	r.close()
	f, err := r.s.fs().Open(r.s.packPath(pack))
	if err != nil {
		return false
	}
	r.file, r.pack = f, pack
	return true
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close() // read only: closing can lose nothing
		r.file = nil
	}
}
