package crashpoint_test

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// ill fails the nth sync of a disk.
type ill struct {
	mu   sync.Mutex
	left int
	sick bool
}

func (i *ill) String() string { return "a sync that fails" }

func (i *ill) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
	default:
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.left--; i.left != 0 {
		return nil
	}
	i.sick = true
	return syscall.EIO
}

// begin counts from here on.
func (i *ill) begin(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.left = n
}

func (i *ill) isSick() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.sick
}

const shownIll = 10 * time.Second // of fake time, until somebody restarts the node

// Each sync of a side's ledger fails in turn. The node then takes no more work
// and says so; restarted on what was durable, it knows all that it promised.
func TestAfterAFailedSyncANodeTakesNoMoreWork(t *testing.T) {
	for _, side := range []string{"provider", "client"} {
		t.Run(side, func(t *testing.T) {
			n := 1
			for ; fallIll(t, side, n); n++ {
			}
			t.Logf("%d syncs failed in turn", n-1)
			require.Greater(t, n, 5)
		})
	}
}

// fallIll tells whether there was an nth sync.
func fallIll(t *testing.T, side string, n int) (sick bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, plan{side: side, power: true})
		defer w.end()
		one := &w.seller.node
		if side == "client" {
			one = &w.buyer.node
		}
		one.ill.begin(n)
		w.until("the job or a failed sync", func() error {
			if one.ill.isSick() {
				return nil
			}
			return w.press(want{name: "first"})
		})
		if sick = one.ill.isSick(); sick {
			<-time.After(shownIll)
			require.ErrorIs(t, one.ledger.Healthy(), ledger.ErrBroken)
			require.ErrorContains(t, w.refused(side), "takes no more work")
			one.fate.end()
		}
		w.do("first", false)
	})
	return sick
}

// refused asks a side that is ill for work.
func (w *world) refused(side string) error {
	if side == "client" {
		_, err := w.buyer.engine.Submit(context.Background(), w.buyer.spec("more"), "")
		require.ErrorIs(w.t, err, ledger.ErrBroken)
		return wire.Refuse(wire.StorageTrouble, "it takes no more work: %v", err)
	}
	client, err := market.AddressOf(w.buyer.id)
	require.NoError(w.t, err)
	parties := lease.Parties{Chain: w.seller.provider.Chain(), Provider: w.seller.provider.Address(), Client: client}
	request, err := market.Request{Network: networkName, Executor: market.KindWASM, CPU: 1, Memory: 64 << 20, Disk: 64 << 20, MaxMillis: 60_000}.Encode()
	require.NoError(w.t, err)
	config := lease.NewConfig(parties, market.Address{}, market.Hash{1})
	_, err = lease.Ask(context.Background(), w.buyer.host, w.seller.id, parties, request, config, uint64(time.Now().UnixMilli())) //nolint:gosec // after 1970
	require.True(w.t, wire.IsCode(err, wire.StorageTrouble), "%v", err)
	return err
}
