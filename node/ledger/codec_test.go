package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
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

// fill gives every field of a record a value that isn't zero.
func fill(t *testing.T, v reflect.Value, n *uint8) {
	t.Helper()
	*n++
	if a, ok := v.Addr().Interface().(*market.Amount); ok {
		*a = market.NewAmount(1<<60 + uint64(*n)).Times(1 << 60)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(-int64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n))
	case reflect.Uint32:
		v.SetUint(1<<32 - uint64(*n))
	case reflect.Uint64:
		v.SetUint(^uint64(*n))
	case reflect.String:
		v.SetString(strings.Repeat("ü", int(*n)))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), int(*n), int(*n)))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	default:
		t.Fatalf("no record had a %s yet: tell here how to fill it, and in fields how to store it", v.Kind())
	}
}

// records that are full, and ones that are empty, by name.
func everyRecord(t *testing.T) map[string]record {
	all := map[string]record{}
	for _, r := range []record{&Quote{}, &Lease{}, &Receipt{}, &Voucher{}, &Channel{}, &Job{}, &Peer{}, new(value), new(counter)} {
		kind := reflect.TypeOf(r).Elem()
		all["no "+kind.Name()] = r
		full := reflect.New(kind)
		fill(t, full.Elem(), new(uint8))
		all["full "+kind.Name()] = full.Interface().(record)
	}
	return all
}

func emptyLike(r record) record { return reflect.New(reflect.TypeOf(r).Elem()).Interface().(record) }

func TestARecordComesBackAsItWas(t *testing.T) {
	lease := fullLease()
	all := everyRecord(t)
	all["a lease"] = &lease
	all["none but empty bytes"] = &Receipt{Block: []byte{}}
	k := key{'x', 1}
	for name, r := range all {
		v, err := seal(k, r)
		require.NoError(t, err)
		got := emptyLike(r)
		require.NoError(t, unseal(k, v, got), name)
		require.Equal(t, r, got, name)
	}
}

// The first souk kept records as JSON.
func TestARecordInJSONIsRead(t *testing.T) {
	k := key{'x', 1}
	for name, r := range everyRecord(t) {
		body, err := json.Marshal(r)
		require.NoError(t, err)
		v := append([]byte{inJSON}, body...)
		got := emptyLike(r)
		require.NoError(t, unseal(k, binary.BigEndian.AppendUint32(v, checksum(k, v)), got), name)
		require.Equal(t, r, got, name)
	}
}

func TestARecordOfBeforeALaterFieldIsRead(t *testing.T) {
	k := key{'x', 1}
	v, err := seal(k, &Lease{Outputs: "bafy", Fetched: true})
	require.NoError(t, err)
	v = v[:len(v)-overhead] // its last field is one byte
	var got Lease
	require.NoError(t, unseal(k, binary.BigEndian.AppendUint32(v, checksum(k, v)), &got))
	require.Equal(t, Lease{Outputs: "bafy"}, got)
}

func TestWhatIsReadDoesNotGrowIntoItsNeighbours(t *testing.T) {
	k := key{'x', 1}
	v, err := seal(k, &Receipt{Block: []byte("block"), ProviderSignature: []byte("signature")})
	require.NoError(t, err)
	var got Receipt
	require.NoError(t, unseal(k, v, &got))
	_ = append(got.Block, "......"...)
	clear(v) // Pebble's own memory
	require.Equal(t, Receipt{Block: []byte("block"), ProviderSignature: []byte("signature")}, got)
}

func TestADamagedOrForeignValueIsRefused(t *testing.T) {
	k, other := key{'l', 1}, key{'l', 2}
	v, err := seal(k, &Voucher{At: 1})
	require.NoError(t, err)
	var got Voucher
	for i := range v {
		for bit := range 8 {
			flipped := bytes.Clone(v)
			flipped[i] ^= 1 << bit
			require.Error(t, unseal(k, flipped, &got))
		}
	}
	require.Error(t, unseal(other, v, &got), "a value under another's key")
	for _, end := range []int{0, 4, len(v) - 1} {
		require.Error(t, unseal(k, v[:end], &got))
	}
	_, err = seal(k, &value{maxValue: 0})
	require.Error(t, err, "too large a record")
}

// A checksum doesn't tell whether a record is one.
func TestABodyThatIsNoRecordIsRefused(t *testing.T) {
	k := key{'x', 1}
	for name, c := range map[string]struct {
		body string
		into record
	}{
		"something follows":        {"\x01\x01", new(counter)},
		"half a number":            {"\x80", new(counter)},
		"a number of eleven bytes": {strings.Repeat("\x80", 10) + "\x01", new(counter)},
		"half a hash":              {"half", &Quote{}},
		"bytes beyond the end":     {strings.Repeat("h", 32) + "\x01p\x09b", &Quote{}},
		"a seq above 32 bits":      {strings.Repeat("h", 32) + "\xff\xff\xff\xff\x7f", &Receipt{}},
		"an amount above 128 bits": {strings.Repeat("h", 32) + "\x00\x11" + strings.Repeat("a", 17), &Voucher{}},
		"a flag of two":            {strings.Repeat("h", 32) + strings.Repeat("\x00", 5) + strings.Repeat("h", 32) + "\x00\x00\x02", &Quote{}},
		"a list beyond the end":    {"\x00\xff\xff\xff\xff\x7f\x00", &Peer{}},
	} {
		v := append([]byte{version}, c.body...)
		require.Error(t, unseal(k, binary.BigEndian.AppendUint32(v, checksum(k, v)), c.into), name)
	}
}

func FuzzUnseal(f *testing.F) {
	k := key{leaseKey}.hash(market.Hash{1})
	lease := fullLease()
	good, err := seal(k, &lease)
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
			again, err := seal(k, &r)
			require.NoError(t, err)
			var got Lease
			require.NoError(t, unseal(k, again, &got))
			require.Equal(t, r, got)
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
