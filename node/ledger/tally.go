package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// The mark tells where the store ends, and not what is missing before: a log
// that is cut to nothing beside a newer one looks like that of a node that
// wrote nothing. So each Update also adds one to a tally, which the store sums
// up as it writes its tables. A store whose tally isn't the number of its newest
// Update lacks some.

var tallyKey = key{'z', 't'}

const tallySize = 8 // bytes, big-endian; the store's own checksums are around them

// tallies sums what is merged. The name is that of the store's default, with
// which a store of before was made; such a store has nothing merged.
func tallies() *pebble.Merger {
	return &pebble.Merger{Name: pebble.DefaultMerger.Name, Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		t := new(tally)
		return t, t.add(value)
	}}
}

type tally struct{ sum uint64 }

func (t *tally) add(value []byte) error {
	if len(value) != tallySize {
		return fmt.Errorf("a tally has %d bytes, not %d", len(value), tallySize)
	}
	t.sum += binary.BigEndian.Uint64(value)
	return nil
}

func (t *tally) MergeNewer(value []byte) error { return t.add(value) }
func (t *tally) MergeOlder(value []byte) error { return t.add(value) }

func (t *tally) Finish(bool) ([]byte, io.Closer, error) { return tallied(t.sum), nil, nil }

func tallied(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// tally adds the Update with that number to a batch. The first one of a store
// that has no tally yet adds those before it.
func (l *Ledger) tally(batch *pebble.Batch, n uint64) error {
	add := uint64(1)
	if !l.tallies {
		add = n
	}
	if err := batch.Merge(tallyKey, tallied(add), nil); err != nil {
		return err
	}
	l.tallies = true
	return nil
}

// compareTally reads the tally and holds it against the newest Update's number.
func (l *Ledger) compareTally() error {
	value, closer, err := l.db.Get(tallyKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil // nothing was written yet, or before there were tallies
	}
	if err != nil {
		return l.damaged(err)
	}
	defer func() { _ = closer.Close() }()
	var t tally
	if err := t.add(value); err != nil {
		return l.damaged(err)
	}
	if l.tallies = true; t.sum != l.count {
		return l.damaged(fmt.Errorf("the log has %d of %d writes, so one of its files was cut,", t.sum, l.count))
	}
	return nil
}
