package ledger

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/protocol/market"
)

// a full lease, as large as an ordinary one gets.
func fullLease() Lease {
	block := bytes.Repeat([]byte{7}, 480)
	return Lease{
		Hash: market.Hash{1}, Role: Client, Peer: "16Uiu2HAmTheOtherSideOfThisLeaseWithAnIDOfThisLength", Channel: market.Hash{2},
		Chain: market.NoChain("souk"), Quote: block, QuoteSignature: block[:65], Request: block, Terms: block,
		Block: block[:96], ClientSignature: block[:65], ProviderSignature: block[:65], Job: block,
		State: market.Running, Outcome: market.Expired, Reason: "it ran out — \"quoted\"", JobID: "job", Attempt: 2,
		Created: 1<<63 + 1, Newest: Mark{Seq: 9, Hash: market.Hash{3}, Units: 1 << 62, Charged: market.NewAmount(1 << 60)},
	}
}

func TestARecordComesBackAsItWas(t *testing.T) {
	for name, r := range map[string]Lease{"full": fullLease(), "empty": {}} {
		k := key{leaseKey}.hash(r.Hash)
		value, err := seal(k, r)
		require.NoError(t, err)
		var got Lease
		require.NoError(t, unseal(k, value, &got), name)
		require.Equal(t, r, got, name)
	}
}

func TestADamagedOrForeignValueIsRefused(t *testing.T) {
	k, other := key{'l', 1}, key{'l', 2}
	value, err := seal(k, Mark{Seq: 1})
	require.NoError(t, err)
	var got Mark
	for i := range value {
		for bit := range 8 {
			flipped := bytes.Clone(value)
			flipped[i] ^= 1 << bit
			require.Error(t, unseal(k, flipped, &got))
		}
	}
	require.Error(t, unseal(other, value, &got), "a value under another's key")
	for _, end := range []int{0, 4, len(value) - 1} {
		require.Error(t, unseal(k, value[:end], &got))
	}
	unknown, err := seal(k, struct{ Sequence int }{1})
	require.NoError(t, err)
	require.Error(t, unseal(k, unknown, &got), "an unknown field")
	_, err = seal(k, make([]byte, maxValue))
	require.Error(t, err, "too large a record")
}

func FuzzUnseal(f *testing.F) {
	k := key{leaseKey}.hash(market.Hash{1})
	good, err := seal(k, fullLease())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{good, good[:20], {}, {version, 0, 0, 0, 0}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		fuzztest.Bound(t)
		var r Lease
		if unseal(k, value, &r) == nil {
			again, err := seal(k, r)
			require.NoError(t, err)
			require.NoError(t, unseal(k, again, &r))
		}
	})
}

func TestADamagedRecordIsNamedAndStopsUpdates(t *testing.T) {
	var logged bytes.Buffer
	l, err := Open("ledger", Options{FS: vfs.NewMem(), Log: slog.New(slog.NewTextHandler(&logged, nil))})
	require.NoError(t, err)
	k, err := nameKey(metaKey, "salt")
	require.NoError(t, err)
	require.NoError(t, l.db.Set(k, []byte("not what seal makes"), pebble.Sync))
	read := func(tx *Tx) error { _, err := tx.Meta("salt"); return err }
	for range 2 { // reading goes on
		err = l.View(t.Context(), read)
		require.ErrorIs(t, err, ErrCorrupt)
		require.ErrorContains(t, err, "m/73616c74")
	}
	require.Contains(t, logged.String(), "takes no more work")
	require.ErrorIs(t, l.Healthy(), ErrBroken)
	require.ErrorIs(t, l.Healthy(), ErrCorrupt)
	require.ErrorIs(t, l.Update(t.Context(), func(*Tx) error { return nil }), ErrBroken)
	require.NoError(t, l.View(t.Context(), func(*Tx) error { return nil }))
	require.NoError(t, l.Close())
}

func TestAnIndexEntryForNothingIsDamage(t *testing.T) {
	l, err := Open("ledger", Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	require.NoError(t, l.Update(t.Context(), func(tx *Tx) error {
		return tx.store(jobAge(Job{ID: "gone", Created: 1}), nil)
	}))
	require.NoError(t, l.View(t.Context(), func(tx *Tx) error {
		for _, err := range tx.Jobs() {
			require.ErrorIs(t, err, ErrCorrupt)
			require.False(t, errors.Is(err, ErrNotFound))
		}
		return nil
	}))
	require.NoError(t, l.Close())
}

// BenchmarkUpdate is a tick: a lease, a receipt and its channel, on disk.
func BenchmarkUpdate(b *testing.B) {
	for name, fs := range map[string]vfs.FS{"disk": nil, "memory": vfs.NewMem()} {
		b.Run(name, func(b *testing.B) {
			l, err := Open(b.TempDir(), Options{FS: fs})
			require.NoError(b, err)
			lease := fullLease()
			for n := uint32(0); b.Loop(); n++ {
				err := l.Update(b.Context(), func(tx *Tx) error {
					return errors.Join(
						tx.PutLease(lease),
						tx.PutReceipt(Client, Receipt{Lease: lease.Hash, Seq: n, Block: lease.Quote, Body: lease.Quote}),
						tx.PutChannel(Channel{ID: lease.Channel, Role: Client, Config: lease.Quote}),
					)
				})
				require.NoError(b, err)
			}
			require.NoError(b, l.Close())
		})
	}
}
