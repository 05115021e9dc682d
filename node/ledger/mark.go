package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The store takes damage in the last blocks of its log for the torn end that a
// power loss leaves, and would go on without the promises that stood there. So
// each Update is numbered, and a file beside the store says which number is
// durable: a store that ends before it is damaged. The file is written after
// the sync of what it speaks of and isn't synced itself, so it costs nothing
// and after a power loss may lag by what the system had not written back yet.
const (
	markName = "durable"
	slotSize = 12 // bytes: number and CRC-32C; two slots, written in turn
)

var countKey = key{'z'} // the number of the newest Update

type mark struct {
	mu    sync.Mutex
	file  vfs.File
	count uint64
}

// openMark opens the mark in dir and reads it; 0 if nothing is known. A
// mark that came with an error is still to be closed.
func openMark(fs vfs.FS, dir string) (*mark, error) {
	file, err := fs.OpenReadWrite(fs.PathJoin(dir, markName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("can't open the ledger's mark: %w", err)
	}
	m := &mark{file: file}
	for slot := range int64(2) {
		var b [slotSize]byte
		if _, err := file.ReadAt(b[:], slot*slotSize); errors.Is(err, io.EOF) {
			continue
		} else if err != nil {
			return m, fmt.Errorf("can't read the ledger's mark: %w", err)
		}
		if crc32.Checksum(b[:8], castagnoli) == binary.BigEndian.Uint32(b[8:]) {
			m.count = max(m.count, binary.BigEndian.Uint64(b[:8]))
		}
	}
	return m, nil
}

// raise says that the Update with this number, and so each before it, is
// durable. A failure is the freezer's to tell.
func (m *mark) raise(count uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if count <= m.count {
		return
	}
	m.count = count
	b := binary.BigEndian.AppendUint64(make([]byte, 0, slotSize), count)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, _ = m.file.WriteAt(b, int64(count%2)*slotSize)
}

func (m *mark) close() error {
	if m == nil {
		return nil
	}
	return errors.Join(m.file.Sync(), m.file.Close())
}

// compare reads the newest Update's number and holds it against the mark.
func (l *Ledger) compare() error {
	tx := &Tx{ledger: l, from: l.db}
	if err := tx.load(countKey, (*counter)(&l.count)); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if l.count < l.mark.count {
		return l.damaged(fmt.Errorf("the log ends at write %d, and %d were durable,", l.count, l.mark.count))
	}
	return l.compareTally()
}

// number gives a batch its number.
func (l *Ledger) number(batch *pebble.Batch) (uint64, error) {
	next := counter(l.count + 1)
	value, err := seal(countKey, &next)
	if err != nil {
		return 0, err
	}
	if err := batch.Set(countKey, value, nil); err != nil {
		return 0, err
	}
	if err := l.tally(batch, l.count+1); err != nil {
		return 0, err
	}
	l.count++
	return l.count, nil
}
