package client_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/ledger"
	"souk/protocol/market"
)

// crashing is a ledger at whose nth write the process stops: nothing that the
// engine does afterwards has an effect until it is started again.
type crashing struct {
	client.Ledger
	nth    int
	before bool // the write itself is lost too

	mu      sync.Mutex
	writes  int
	crashed chan struct{}
}

func (c *crashing) Update(ctx context.Context, fn func(*ledger.Tx) error) error {
	c.mu.Lock()
	c.writes++
	n := c.writes
	c.mu.Unlock()
	switch {
	case n < c.nth:
		return c.Ledger.Update(ctx, fn)
	case n == c.nth:
		if !c.before {
			if err := c.Ledger.Update(ctx, fn); err != nil {
				return err
			}
		}
		close(c.crashed)
	}
	<-ctx.Done() // stuck for ever, as far as this process goes
	return ctx.Err()
}

// TestACrashAtAnyWriteLosesNothing stops the client before and after each of
// its durable writes, starts it again, and sees the job end as it would have.
func TestACrashAtAnyWriteLosesNothing(t *testing.T) {
	const firstWrite, manyWrites = 2, 40 // the first one makes the salt, in New
	for _, before := range []bool{true, false} {
		for nth := firstWrite; nth <= manyWrites; nth++ {
			over := false
			t.Run(fmt.Sprintf("write %d, before %v", nth, before), func(t *testing.T) {
				over = !crashOnce(t, nth, before)
			})
			if over {
				require.Greater(t, nth, 10, "too few writes were met")
				break
			}
		}
	}
}

// crashOnce tells whether the failpoint was met before the job was done.
func crashOnce(t *testing.T, nth int, before bool) bool {
	f := newFake(t, script{price: 360_000, ticks: 2, output: "42"})
	a := newActor(t, f)
	point := &crashing{nth: nth, before: before, crashed: make(chan struct{})}
	e := a.start(func(l client.Ledger) client.Ledger {
		point.Ledger = l
		return point
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	submitted := make(chan string, 1)
	go func() {
		id, err := e.Submit(ctx, spec(t, nil), "")
		if err != nil {
			id = ""
		}
		submitted <- id
	}()
	met := crashedBeforeEnd(t, e, point)
	cancel()
	id := <-submitted
	a.stop()

	e = a.start(nil)
	if id == "" {
		jobs, err := e.Jobs(t.Context())
		require.NoError(t, err)
		if len(jobs) == 0 {
			require.True(t, before, "a job that was on disk is gone")
			return met
		}
		id = jobs[0].ID
	}
	events, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	require.Equal(t, 0, *last.Exit)
	require.Equal(t, fakeLog, logOf(events))
	requireBooksAgree(t, a, f, id)
	return met
}

func crashedBeforeEnd(t *testing.T, e *client.Engine, point *crashing) bool {
	done := make(chan struct{})
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(done)
		for seen := false; ; {
			select {
			case <-stop:
				return
			default:
			}
			active := e.Active()
			seen = seen || active > 0
			if seen && active == 0 {
				return
			}
		}
	}()
	select {
	case <-point.crashed:
		return true
	case <-done:
		return false
	}
}

// requireBooksAgree sees that both sides hold the same voucher, and that each
// charge was counted once.
func requireBooksAgree(t *testing.T, a *actor, f *fake, jobID string) {
	t.Helper()
	info, err := a.engine.Job(t.Context(), jobID)
	require.NoError(t, err)
	require.Len(t, info.Executions, 1, "%+v", info.Executions)
	require.NoError(t, a.book.View(t.Context(), func(tx *ledger.Tx) error {
		for ch, err := range tx.Channels(ledger.Client) {
			require.NoError(t, err)
			require.Equal(t, info.Executions[0].Countersigned, ch.Due)
			require.Equal(t, ch.Due, ch.Signed)
			f.mu.Lock()
			defer f.mu.Unlock()
			require.Equal(t, ch.Voucher, f.highest)
			require.False(t, f.fell)
			requireVouchersGrow(t, tx, ch.ID)
		}
		return nil
	}))
}

func requireVouchersGrow(t *testing.T, tx *ledger.Tx, channel market.Hash) {
	t.Helper()
	before := market.Amount{}
	for v, err := range tx.Vouchers(ledger.Client, channel) {
		require.NoError(t, err)
		require.True(t, before.Less(v.Max), "vouchers only grow")
		before = v.Max
	}
}
