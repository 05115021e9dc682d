package ledger_test

import (
	"bytes"
	"cmp"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/node/ledger"
	"souk/protocol/market"
)

// model is the ledger as plain maps.
type model struct {
	quotes map[market.Hash]ledger.Quote
	leases map[ledger.Role]map[market.Hash]ledger.Lease
	jobs   map[string]ledger.Job
	peers  map[string]ledger.Peer
}

func (m model) clone() model {
	return model{
		quotes: maps.Clone(m.quotes), jobs: maps.Clone(m.jobs), peers: maps.Clone(m.peers),
		leases: map[ledger.Role]map[market.Hash]ledger.Lease{
			ledger.Provider: maps.Clone(m.leases[ledger.Provider]),
			ledger.Client:   maps.Clone(m.leases[ledger.Client]),
		},
	}
}

var errAbort = errors.New("abort")

var (
	someHash  = rapid.Custom(func(t *rapid.T) market.Hash { return hashOf(rapid.Byte().Draw(t, "hash") % 8) })
	someRole  = rapid.SampledFrom([]ledger.Role{ledger.Provider, ledger.Client})
	someName  = rapid.SampledFrom([]string{"a", "b", "ba", "c\x00", "ü"})
	someTime  = rapid.SampledFrom([]uint64{0, 1, 2, 1 << 40, 1<<64 - 1})
	someState = rapid.SampledFrom([]market.State{
		market.Requested, market.Quoted, market.Agreed, market.Preparing, market.Running, market.Finishing, market.Closed,
	})
)

// change makes one random change to the transaction and the model.
func change(t *rapid.T, tx *ledger.Tx, m model) error {
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		q := ledger.Quote{Hash: someHash.Draw(t, "quote"), ExpiresAt: someTime.Draw(t, "expires")}
		m.quotes[q.Hash] = q
		return tx.PutQuote(q)
	case 1:
		h := someHash.Draw(t, "forget")
		delete(m.quotes, h)
		return tx.DeleteQuote(h)
	case 2:
		l := ledger.Lease{
			Hash: someHash.Draw(t, "lease"), Role: someRole.Draw(t, "role"), Channel: someHash.Draw(t, "channel"),
			State: someState.Draw(t, "state"), Created: someTime.Draw(t, "created"),
		}
		m.leases[l.Role][l.Hash] = l
		return tx.PutLease(l)
	case 3:
		j := ledger.Job{ID: someName.Draw(t, "job"), Created: someTime.Draw(t, "created")}
		m.jobs[j.ID] = j
		return tx.PutJob(j)
	default:
		p := ledger.Peer{ID: someName.Draw(t, "peer"), Good: someTime.Draw(t, "good")}
		m.peers[p.ID] = p
		return tx.PutPeer(p)
	}
}

func byHash(a, b ledger.Lease) int { return bytes.Compare(a.Hash[:], b.Hash[:]) }

func sorted[K comparable, V any](m map[K]V, keep func(V) bool, order func(a, b V) int) []V {
	out := []V{}
	for _, v := range m {
		if keep == nil || keep(v) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, order)
	return out
}

func collect[T any](t require.TestingT, seq iter.Seq2[T, error]) []T {
	out := []T{}
	for v, err := range seq {
		require.NoError(t, err)
		out = append(out, v)
	}
	return out
}

// same demands that every getter and sequence says what the model says.
func same(t require.TestingT, tx *ledger.Tx, m model) {
	require.Equal(t, sorted(m.quotes, nil, func(a, b ledger.Quote) int { return bytes.Compare(a.Hash[:], b.Hash[:]) }),
		collect(t, tx.Quotes()))
	require.Equal(t, sorted(m.jobs, nil, func(a, b ledger.Job) int {
		return cmp.Or(cmp.Compare(b.Created, a.Created), cmp.Compare(a.ID, b.ID))
	}), collect(t, tx.Jobs()))
	for _, prefix := range []string{"", "b", "ba", "c"} {
		require.Equal(t, sorted(m.jobs, func(j ledger.Job) bool { return strings.HasPrefix(j.ID, prefix) },
			func(a, b ledger.Job) int { return cmp.Compare(a.ID, b.ID) }), collect(t, tx.JobsFrom(prefix)))
	}
	require.Equal(t, sorted(m.peers, nil, func(a, b ledger.Peer) int { return cmp.Compare(a.ID, b.ID) }),
		collect(t, tx.Peers()))
	for role, leases := range m.leases {
		require.Equal(t, sorted(leases, nil, func(a, b ledger.Lease) int {
			return cmp.Or(cmp.Compare(b.Created, a.Created), byHash(a, b))
		}), collect(t, tx.Leases(role)))
		live := func(l ledger.Lease) bool { return l.State == market.Quoted || l.State.Live() }
		require.Equal(t, sorted(leases, live, byHash), collect(t, tx.LiveLeases(role)))
		for n := range byte(8) {
			on := []market.Hash{}
			for _, l := range sorted(leases, func(l ledger.Lease) bool { return l.Channel == hashOf(n) }, byHash) {
				on = append(on, l.Hash)
			}
			require.Equal(t, on, collect(t, tx.ChannelLeases(role, hashOf(n))))
			got, err := tx.Lease(role, hashOf(n))
			if want, ok := leases[hashOf(n)]; ok {
				require.NoError(t, err)
				require.Equal(t, want, got)
			} else {
				require.ErrorIs(t, err, ledger.ErrNotFound)
			}
		}
	}
}

func TestTheLedgerIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := vfs.NewMem()
		l, err := ledger.Open("ledger", ledger.Options{FS: disk})
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		m := model{}.clone()
		m.quotes, m.jobs, m.peers = map[market.Hash]ledger.Quote{}, map[string]ledger.Job{}, map[string]ledger.Peer{}
		m.leases[ledger.Provider], m.leases[ledger.Client] = map[market.Hash]ledger.Lease{}, map[market.Hash]ledger.Lease{}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				require.NoError(t, l.View(t.Context(), func(tx *ledger.Tx) error { same(t, tx, m); return nil }))
			},
			"update": func(t *rapid.T) {
				next := m.clone()
				abort := rapid.Bool().Draw(t, "abort")
				err := l.Update(t.Context(), func(tx *ledger.Tx) error {
					for range rapid.IntRange(0, 5).Draw(t, "changes") {
						require.NoError(t, change(t, tx, next))
					}
					same(t, tx, next)
					if abort {
						return errAbort
					}
					return nil
				})
				if abort {
					require.Equal(t, errAbort, err)
					return
				}
				require.NoError(t, err)
				m = next
			},
			"restart": func(t *rapid.T) {
				require.NoError(t, l.Close())
				l, err = ledger.Open("ledger", ledger.Options{FS: disk})
				require.NoError(t, err)
			},
		})
	})
}

func TestReceiptsComeInOrder(t *testing.T) {
	l := open(t, vfs.NewMem())
	update(t, l, func(tx *ledger.Tx) error {
		for _, seq := range []uint32{300, 2, 1, 1 << 31} {
			require.NoError(t, tx.PutReceipt(ledger.Client, ledger.Receipt{Lease: hashOf(1), Seq: seq}))
		}
		return tx.PutReceipt(ledger.Client, ledger.Receipt{Lease: hashOf(2), Seq: 5})
	})
	var got []uint32
	view(t, l, func(tx *ledger.Tx) error {
		for r, err := range tx.Receipts(ledger.Client, hashOf(1)) {
			require.NoError(t, err)
			got = append(got, r.Seq)
		}
		require.Empty(t, collect(t, tx.Receipts(ledger.Provider, hashOf(1))))
		return nil
	})
	require.Equal(t, []uint32{1, 2, 300, 1 << 31}, got)
}

func TestABadRoleOrNameIsRefused(t *testing.T) {
	l := open(t, vfs.NewMem())
	for name, write := range map[string]func(*ledger.Tx) error{
		"role":    func(tx *ledger.Tx) error { return tx.PutLease(ledger.Lease{}) },
		"no name": func(tx *ledger.Tx) error { return tx.PutPeer(ledger.Peer{}) },
		"bytes":   func(tx *ledger.Tx) error { return tx.PutJob(ledger.Job{ID: "\xff"}) },
		"length":  func(tx *ledger.Tx) error { return tx.PutMeta(string(make([]byte, 513)), nil) },
	} {
		require.Error(t, l.Update(t.Context(), func(tx *ledger.Tx) error {
			require.Error(t, write(tx), name)
			return nil // overlooked
		}), name)
	}
}
