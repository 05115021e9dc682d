package blob

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
)

// A pack is a file with blocks one after the other, then an index of their
// CIDs, sizes and checksums, then a trailer: the number of blocks, a checksum of
// index and number, and packMagic. It is written once, synced, and only then
// named. Checksums are CRC-32C: they tell what a disk damaged, and a block is
// checked against its CID before it gets one.
const (
	packMagic   = "soukpak2"
	bareMagic   = "soukpak1" // whose entries have no checksum
	entryBytes  = bareBytes + 4
	bareBytes   = 36 + 4 // a CIDv1 of sha2-256, and a size
	trailerSize = 4 + 4 + len(packMagic)

	packBlocks = 1 << 10   // most blocks of one pack
	writeBytes = 256 << 10 // that are handed to the disk at a time
	writesOpen = 2         // such pieces that wait for the disk, for each pack
)

// diskWrites names this package's writes in the file system's statistics.
const diskWrites vfs.DiskWriteCategory = "souk-blob"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packed is one block of a pack.
type packed struct {
	c    cid.Cid
	off  int64
	size int64
	sum  uint32 // 0: unknown
}

// packWriter writes a pack to a temporary file. A goroutine of its own does
// what waits for the disk; it ends with seal.
type packWriter struct {
	fs     vfs.FS
	path   string
	blocks []packed
	size   int64 // of all blocks so far
	cost   int64 // that was reserved for them
	piece  []byte
	pieces chan []byte
	spare  chan []byte // pieces to be used again
	done   chan error  // one value, after seal
}

func newPackWriter(fs vfs.FS, path string) (*packWriter, error) {
	f, err := fs.Create(path, diskWrites)
	if err != nil {
		return nil, err
	}
	p := &packWriter{fs: fs, path: path, pieces: make(chan []byte, writesOpen), spare: make(chan []byte, writesOpen+1), done: make(chan error, 1)}
	go func() { p.done <- p.write(f) }()
	return p, nil
}

// write takes pieces until there are no more, and syncs.
func (p *packWriter) write(f vfs.File) error {
	var err error
	for piece := range p.pieces {
		if err == nil {
			_, err = f.Write(piece) // which may scribble on it
		}
		select {
		case p.spare <- piece[:0]:
		default:
		}
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// add takes a block that was verified.
func (p *packWriter) add(b Block, cost int64) {
	p.blocks = append(p.blocks, packed{b.CID, p.size, int64(len(b.Data)), crc32.Checksum(b.Data, castagnoli)})
	p.size += int64(len(b.Data))
	p.cost += cost
	p.append(b.Data)
}

func (p *packWriter) append(data []byte) {
	if p.piece == nil {
		select {
		case p.piece = <-p.spare:
		default:
		}
	}
	p.piece = append(p.piece, data...)
	if len(p.piece) >= writeBytes {
		p.pieces <- p.piece
		p.piece = nil
	}
}

// seal says that no more blocks come; what came is synced when done has a value.
func (p *packWriter) seal() {
	p.append(packIndex(p.blocks))
	if len(p.piece) > 0 {
		p.pieces <- p.piece
		p.piece = nil
	}
	close(p.pieces)
}

func packIndex(blocks []packed) []byte {
	var index []byte
	for _, b := range blocks {
		index = append(index, b.c.Bytes()...)
		index = binary.BigEndian.AppendUint32(index, uint32(b.size)) //nolint:gosec // at most MaxBlock
		index = binary.BigEndian.AppendUint32(index, b.sum)
	}
	index = binary.BigEndian.AppendUint32(index, uint32(len(blocks))) //nolint:gosec // at most packBlocks
	index = binary.BigEndian.AppendUint32(index, crc32.Checksum(index, castagnoli))
	return append(index, packMagic...)
}

// packName is the name of the n-th pack of a space.
func packName(n uint64) string { return fmt.Sprintf("%016x", n) }

func parsePack(name string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(name, 16, 64)
	return n, err == nil && name == packName(n)
}

// readPack reads what blocks a pack has. ErrCorrupt is one whose index can't be
// trusted: what is in it can't be told.
func readPack(fs vfs.FS, path string) ([]packed, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: closing can lose nothing
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	damaged := fmt.Errorf("%w: the index of %s", ErrCorrupt, path)
	trailer := make([]byte, trailerSize)
	at := info.Size() - int64(trailerSize)
	if at < 0 {
		return nil, damaged
	}
	if _, err := f.ReadAt(trailer, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	n, entry := int64(binary.BigEndian.Uint32(trailer)), entrySize(trailer)
	if at -= n * entry; n > packBlocks || at < 0 || entry == 0 {
		return nil, damaged
	}
	index := make([]byte, n*entry, n*entry+4)
	if _, err := f.ReadAt(index, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if crc32.Checksum(append(index, trailer[:4]...), castagnoli) != binary.BigEndian.Uint32(trailer[4:]) {
		return nil, damaged
	}
	blocks, size := parseIndex(index, int(entry))
	if size != at {
		return nil, damaged
	}
	return blocks, nil
}

// entrySize is how many bytes an entry of a pack with that trailer has; 0 for no pack.
func entrySize(trailer []byte) int64 {
	switch {
	case bytes.HasSuffix(trailer, []byte(packMagic)):
		return entryBytes
	case bytes.HasSuffix(trailer, []byte(bareMagic)):
		return bareBytes
	default:
		return 0
	}
}

// parseIndex reads an index whose checksum is right, up to what can't be an entry.
func parseIndex(index []byte, entry int) (blocks []packed, size int64) {
	for ; len(index) >= entry; index = index[entry:] {
		c, err := cid.Cast(index[:bareBytes-4])
		n := int64(binary.BigEndian.Uint32(index[bareBytes-4:]))
		if err != nil || CheckCID(c) != nil || n > MaxBlock {
			return nil, -1
		}
		b := packed{c: c, off: size, size: n}
		if entry == entryBytes {
			b.sum = binary.BigEndian.Uint32(index[bareBytes:])
		}
		blocks = append(blocks, b)
		size += n
	}
	return blocks, size
}
