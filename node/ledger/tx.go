package ledger

import (
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// Tx is one transaction. It is for one goroutine and ends with the function
// that it was given to. A getter's error wraps ErrNotFound if there is no such
// record and ErrCorrupt if it is damaged. A sequence ends after the first
// error; it shows the state of when its loop began, so a loop may write.
type Tx struct {
	ledger *Ledger
	from   pebble.Reader // nil once the transaction has ended
	batch  *pebble.Batch // nil in a View
	err    error         // the first failed write: fails the Update even if fn overlooks it
}

var (
	errEnded    = errors.New("the transaction has ended; use a Tx only inside its function")
	errReadOnly = errors.New("a View can't write; use Update")
)

func (tx *Tx) fail(err error) error {
	if tx.err == nil {
		tx.err = err
	}
	return err
}

// damaged names the damaged record.
func (tx *Tx) damaged(k key, cause error) error {
	return tx.ledger.damaged(fmt.Errorf("record %s: %w", k, cause))
}

func (tx *Tx) readError(k key, err error) error {
	if pebble.IsCorruptionError(err) {
		return tx.damaged(k, err)
	}
	return fmt.Errorf("can't read record %s: %w", k, err)
}

func (tx *Tx) load(k key, r record) error {
	if tx.from == nil {
		return errEnded
	}
	value, closer, err := tx.from.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return fmt.Errorf("%w: record %s", ErrNotFound, k)
	}
	if err != nil {
		return tx.readError(k, err)
	}
	defer func() { _ = closer.Close() }()
	if err := unseal(k, value, r); err != nil {
		return tx.damaged(k, err)
	}
	return nil
}

// store writes a record, or an index entry for nil.
func (tx *Tx) store(k key, r record) error {
	if err := tx.writable(); err != nil {
		return err
	}
	value, err := seal(k, r)
	if err == nil {
		err = tx.batch.Set(k, value, nil)
	}
	if err != nil {
		return tx.fail(err)
	}
	return nil
}

func (tx *Tx) remove(k key) error {
	if err := tx.writable(); err != nil {
		return err
	}
	if err := tx.batch.Delete(k, nil); err != nil {
		return tx.fail(err)
	}
	return nil
}

func (tx *Tx) writable() error {
	switch {
	case tx.from == nil:
		return errEnded
	case tx.batch == nil:
		return tx.fail(errReadOnly)
	}
	return nil
}

// get reads the record at a key whose making may have failed.
func get[T any, P stored[T]](tx *Tx, k key, err error) (T, error) {
	var r T
	if err != nil {
		return r, err
	}
	if err := tx.load(k, P(&r)); err != nil {
		var none T
		return none, err
	}
	return r, nil
}

// stored is a pointer to a T, which is a record.
type stored[T any] interface {
	*T
	record
}

// put writes a record at a key whose making may have failed.
func (tx *Tx) put(k key, err error, r record) error {
	if err != nil {
		return tx.fail(err)
	}
	return tx.store(k, r)
}

// scan goes through the keys that begin with a prefix, in order.
func scan[T any](tx *Tx, prefix key, bad error, decode func(k key, value []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if bad == nil && tx.from == nil {
			bad = errEnded
		}
		if bad != nil {
			yield(none, bad)
			return
		}
		it, err := tx.from.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefix.end()})
		if err != nil {
			yield(none, tx.readError(prefix, err))
			return
		}
		defer func() { _ = it.Close() }()
		for ok := it.First(); ok; ok = it.Next() {
			record, err := next(tx, it, decode)
			if err != nil {
				yield(none, err)
				return
			}
			if !yield(record, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(none, tx.readError(prefix, err))
		}
	}
}

func next[T any](tx *Tx, it *pebble.Iterator, decode func(key, []byte) (T, error)) (T, error) {
	k := key(append([]byte(nil), it.Key()...))
	value, err := it.ValueAndErr()
	if err != nil {
		var none T
		return none, tx.readError(k, err)
	}
	return decode(k, value)
}

// records decodes each value under a prefix.
func records[T any, P stored[T]](tx *Tx, prefix key, bad error) iter.Seq2[T, error] {
	return scan(tx, prefix, bad, func(k key, value []byte) (r T, err error) {
		if err := unseal(k, value, P(&r)); err != nil {
			var none T
			return none, tx.damaged(k, err)
		}
		return r, nil
	})
}

// indexed follows each index entry under a prefix, all as long as the first
// or longer, to what it names.
func indexed[T any](tx *Tx, prefix key, shortest int, bad error, follow func(k key) (T, error)) iter.Seq2[T, error] {
	return scan(tx, prefix, bad, func(k key, value []byte) (record T, err error) {
		if err := unseal(k, value, nil); err != nil {
			return record, tx.damaged(k, err)
		}
		if len(k) < shortest {
			return record, tx.damaged(k, errors.New("it is too short for an index entry"))
		}
		record, err = follow(k)
		if errors.Is(err, ErrNotFound) {
			return record, tx.damaged(k, errors.New("it is an index entry for a record that is missing"))
		}
		return record, err
	})
}
