package ledger_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/ledger"
	"souk/protocol/market"
)

const writers = 4

// story is what the durability tests let several writers do at once: each
// Update raises a shared total and the writer's own count, and writes a lease,
// a receipt and a voucher that must be there whenever that count is.
type story struct {
	started [writers]atomic.Uint64
	acked   [writers]atomic.Uint64
	padding int // bytes, so that the store rotates its log and flushes
}

func writerID(w int) market.Hash { return market.Hash{0: 1, 31: byte(w)} } //nolint:gosec // a few writers

func leaseID(w int, n uint64) (h market.Hash) {
	h = writerID(w)
	binary.BigEndian.PutUint64(h[8:], n)
	return h
}

// tell runs the story until each writer did steps Updates or one failed.
func (s *story) tell(l *ledger.Ledger, steps uint64) {
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := uint64(1); n <= steps; n++ {
				s.started[w].Store(n)
				if s.step(l, w, n) != nil {
					return
				}
				s.acked[w].Store(n)
			}
		})
	}
	wg.Wait()
}

func (s *story) step(l *ledger.Ledger, w int, n uint64) error {
	return l.Update(context.Background(), func(tx *ledger.Tx) error {
		total, err := count(tx, "total")
		if err != nil {
			return err
		}
		return firstOf(
			setCount(tx, "total", total+1),
			setCount(tx, fmt.Sprint("writer-", w), n),
			tx.PutLease(ledger.Lease{
				Hash: leaseID(w, n), Role: ledger.Provider, Channel: writerID(w),
				State: market.Running, Created: n, Job: make([]byte, s.padding),
			}),
			tx.PutReceipt(ledger.Provider, ledger.Receipt{Lease: leaseID(w, n), Seq: 1}),
			tx.PutChannel(ledger.Channel{ID: writerID(w), Role: ledger.Provider, Voucher: market.NewAmount(n)}),
			tx.AddVoucher(ledger.Provider, ledger.Voucher{Channel: writerID(w), Max: market.NewAmount(n)}),
		)
	})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func setCount(tx *ledger.Tx, name string, n uint64) error {
	return tx.PutMeta(name, binary.BigEndian.AppendUint64(nil, n))
}

func count(tx *ledger.Tx, name string) (uint64, error) {
	b, err := tx.Meta(name)
	if isNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// marks are how far each writer was at one moment.
type marks [writers]uint64

func read(from *[writers]atomic.Uint64) (m marks) {
	for w := range from {
		m[w] = from[w].Load()
	}
	return m
}

// check demands that all that was acknowledged is there, nothing that was
// never begun, and each Update whole or not at all.
func check(t *testing.T, l *ledger.Ledger, acked, started marks) {
	t.Helper()
	view(t, l, func(tx *ledger.Tx) error {
		total, err := count(tx, "total")
		require.NoError(t, err)
		sum := uint64(0)
		for w := range writers {
			n, err := count(tx, fmt.Sprint("writer-", w))
			require.NoError(t, err)
			require.GreaterOrEqual(t, n, acked[w], "an acknowledged Update of writer %d is lost", w)
			require.LessOrEqual(t, n, started[w])
			sum += n
			checkWriter(t, tx, w, n)
		}
		require.Equal(t, sum, total, "an Update is half there")
		return nil
	})
}

func checkWriter(t *testing.T, tx *ledger.Tx, w int, n uint64) {
	t.Helper()
	leases, vouchers := uint64(0), uint64(0)
	for _, err := range tx.ChannelLeases(ledger.Provider, writerID(w)) {
		require.NoError(t, err)
		leases++
		_, err = tx.Lease(ledger.Provider, leaseID(w, leases))
		require.NoError(t, err)
		_, err = tx.Receipt(ledger.Provider, leaseID(w, leases), 1)
		require.NoError(t, err)
	}
	require.Equal(t, n, leases)
	for v, err := range tx.Vouchers(ledger.Provider, writerID(w)) {
		require.NoError(t, err)
		vouchers++
		require.Equal(t, market.NewAmount(vouchers), v.Max)
	}
	require.Equal(t, n, vouchers)
	if n > 0 {
		c, err := tx.Channel(ledger.Provider, writerID(w))
		require.NoError(t, err)
		require.Equal(t, market.NewAmount(n), c.Voucher)
	}
}
