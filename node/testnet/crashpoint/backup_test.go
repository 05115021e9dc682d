package crashpoint_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
	"souk/protocol/market"
)

// A side whose books are restored from a backup, of before the first lease or
// of the middle of it, asks the other for the channel's status before it signs
// anything on it, and goes on from the numbers that it had promised.
func TestARestoredBackupAsksBeforeItSigns(t *testing.T) {
	for _, side := range []string{"provider", "client"} {
		for name, when := range map[string]func(*world) bool{
			"of before the first lease":      func(*world) bool { return true },
			"of the middle of the first one": func(w *world) bool { j, ok, err := w.buyer.job("first"); return err == nil && ok && w.ticked(j) },
		} {
			t.Run(side+", a backup "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { restoreOnce(t, side, when) })
			})
		}
	}
}

func restoreOnce(t *testing.T, side string, when func(*world) bool) {
	w := newWorld(t, plan{})
	defer w.end()
	one := &w.seller.node
	if side == "client" {
		one = &w.buyer.node
	}
	var backup *vfs.MemFS
	w.until("job first", func() error {
		if backup == nil && when(w) {
			backup = one.disk.CrashClone(vfs.CrashCloneCfg{})
		}
		return w.press(want{name: "first"})
	})
	w.until("quiet after job first", w.quiet)
	require.NotNil(t, backup)
	before := w.sums(one, side)

	one.fate.end()
	one.disk = backup
	one.given.forget()
	w.until("job second", func() error { return w.press(want{name: "second"}) })
	w.until("quiet after job second", func() error { return w.rest() })
	asksFirst(t, one.fate.points())
	provider, client := w.sums(&w.seller.node, "provider"), w.sums(&w.buyer.node, "client")
	require.Equal(t, provider.Due, client.Due)
	require.Equal(t, provider.Voucher, client.Voucher)
	require.True(t, before.Due.Less(client.Due), "the forgotten lease counts")
	require.False(t, client.Voucher.Less(before.Voucher))
}

// sums is a side's one channel.
func (w *world) sums(n *node, side string) (ch ledger.Channel) {
	require.NoError(w.t, n.ledger.View(context.Background(), func(tx *ledger.Tx) error {
		for c, err := range tx.Channels(ledger.Role(side)) {
			if err != nil {
				return err
			}
			require.Equal(w.t, market.Hash{}, ch.ID, "one channel is used, before and after")
			ch = c
			if err := growing(tx, ledger.Role(side), c); err != nil {
				return err
			}
		}
		return nil
	}))
	return ch
}

// asksFirst demands that the channel's status was taken in before the first
// promise on it.
func asksFirst(t *testing.T, points []point) {
	t.Helper()
	asked := false
	for _, p := range points {
		asked = asked || p.moment == "after" && strings.HasPrefix(p.what, "write ") && strings.HasSuffix(p.what, ".adopt")
		for _, promise := range []string{"LeaseRequest accept", "LeaseAnswer lease", "RunRequest countersign", "RunEvent tick", "RunEvent done"} {
			if p.what == "send "+promise {
				require.True(t, asked, "%s before the status was asked", p.what)
				return
			}
		}
	}
	require.Fail(t, "nothing was promised")
}
