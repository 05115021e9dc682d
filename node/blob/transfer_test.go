package blob

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/stretchr/testify/require"

	protocol "souk/protocol/blob"
	"souk/protocol/market"
	"souk/protocol/wire"
)

var lease = market.Hash{7}

// provider lets anybody read and write its own space under lease.
type provider struct {
	store  *Store
	limits Limits
	closed sync.WaitGroup // sinks
}

type waited struct {
	Sink
	done func()
}

func (w waited) Close() error {
	defer w.done()
	return w.Sink.Close()
}

func (p *provider) space(who peer.ID, l market.Hash) (*Space, error) {
	if l != lease {
		return nil, wire.Refuse(wire.Unknown, "no such lease")
	}
	return p.store.Space(who.String())
}

func (p *provider) Source(ctx context.Context, who peer.ID, l market.Hash, root cid.Cid, skip int) (protocol.Source, error) {
	s, err := p.space(who, l)
	if err != nil {
		return nil, err
	}
	return s.Source(ctx, root, skip, p.limits), nil
}

func (p *provider) Sink(ctx context.Context, who peer.ID, l market.Hash, root cid.Cid) (protocol.Sink, error) {
	s, err := p.space(who, l)
	if err != nil {
		return nil, err
	}
	if err := s.Pin(root, noon.Add(time.Hour)); err != nil {
		return nil, err
	}
	k, err := NewSink(ctx, s, root, p.limits)
	if err != nil {
		return nil, err
	}
	p.closed.Add(1)
	return waited{k, p.closed.Done}, nil
}

func newHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics(),
	)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// meet connects a client to a provider that has store.
func meet(t *testing.T, p *provider) (client host.Host, who peer.ID) {
	t.Helper()
	client, server := newHost(t), newHost(t)
	require.NoError(t, client.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Addrs()}))
	d := wire.NewDispatcher(server, wire.Strangers{}, slog.New(slog.DiscardHandler))
	protocol.Serve(d, p)
	t.Cleanup(d.Close)
	return client, server.ID()
}

// bigFolder is about 12 MiB in some large and many small files, two of them alike.
func bigFolder(t *testing.T) string {
	t.Helper()
	dir := lay(t, map[string]string{"empty": "", "none/": "", "small/a": "same", "small/b": "same"})
	rng := rand.NewChaCha8([32]byte{3})
	for i, size := range []int{5 << 20, 6 << 20, 300_000, 300_000, 1, 2, 3} {
		content := make([]byte, size)
		_, _ = rng.Read(content) // never fails
		require.NoError(t, os.WriteFile(filepath.Join(dir, "small", string(rune('c'+i))), content, 0o600))
	}
	return dir
}

// Inputs go to the provider in several attempts, cut off each time, and come
// back the same; a second Put sends nothing.
func TestInputsGoThereAndComeBack(t *testing.T) {
	p := &provider{store: memStore(t, Options{})}
	client, server := meet(t, p)
	mine := memSpace(t, Options{})
	dir := bigFolder(t)
	root := add(t, mine, dir)
	source := func(skip int) protocol.Source { return mine.Source(t.Context(), root, skip, Limits{}) }

	var sent int64
	for attempt := 1; ; attempt++ {
		require.Less(t, attempt, 40, "the transfer makes no progress")
		ctx, cut := context.WithCancel(t.Context())
		var now int64
		err := protocol.Put(ctx, client, server, lease, root, source, func(n int64) {
			if now = n; n > 2<<20 {
				cut()
			}
		})
		cut()
		p.closed.Wait()
		sent += now
		if err == nil {
			require.Greater(t, attempt, 1, "nothing was cut")
			break
		}
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Less(t, sent, int64(60<<20))
	require.NoError(t, protocol.Put(t.Context(), client, server, lease, root, source, func(int64) { t.Error("sent again") }))

	theirs := space(t, p.store, client.ID().String())
	dst := filepath.Join(t.TempDir(), "in")
	require.NoError(t, theirs.Export(t.Context(), root, dst, 1<<30))
	require.Equal(t, root, add(t, memSpace(t, Options{}), dst))

	fresh := memSpace(t, Options{})
	fetch(t, client, server, fresh, root)
	require.Equal(t, drain(t, mine, root, 0), drain(t, fresh, root, 0))
}

func fetch(t *testing.T, client host.Host, server peer.ID, into *Space, root cid.Cid) {
	t.Helper()
	k, err := NewSink(t.Context(), into, root, Limits{})
	require.NoError(t, err)
	require.NoError(t, protocol.Get(t.Context(), client, server, lease, root, k, nil))
	require.True(t, k.Complete())
	require.NoError(t, k.Close())
}

func TestOutputsAreApartByPeer(t *testing.T) {
	p := &provider{store: memStore(t, Options{})}
	alice, server := meet(t, p)
	out := raw("alice's output")
	put(t, space(t, p.store, alice.ID().String()), out)
	fetch(t, alice, server, memSpace(t, Options{}), out.CID)

	mallory := newHost(t)
	require.NoError(t, mallory.Connect(t.Context(), alice.Peerstore().PeerInfo(server)))
	k, err := NewSink(t.Context(), memSpace(t, Options{}), out.CID, Limits{})
	require.NoError(t, err)
	err = protocol.Get(t.Context(), mallory, server, lease, out.CID, k, nil)
	require.ErrorIs(t, err, protocol.ErrWithheld)
	require.NoError(t, k.Close())
}

func TestPutIsLimited(t *testing.T) {
	for name, p := range map[string]*provider{
		"by the quota": {store: memStore(t, Options{SpaceQuota: 2 << 20})},
		"by the lease": {store: memStore(t, Options{}), limits: Limits{Bytes: 2 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := meet(t, p)
			mine := memSpace(t, Options{})
			root := add(t, mine, bigFolder(t))
			err := protocol.Put(t.Context(), client, server, lease, root, func(skip int) protocol.Source {
				return mine.Source(t.Context(), root, skip, Limits{})
			}, nil)
			require.True(t, wire.IsCode(err, wire.OverLimit), "%v", err)
			p.closed.Wait()
			require.LessOrEqual(t, p.store.Size(), int64(3<<20))
		})
	}
}

// The provider's disk damages an output: the client hears that the block is
// withheld, and has what came before.
func TestDamagedOutput(t *testing.T) {
	p := &provider{store: memStore(t, Options{})}
	client, server := meet(t, p)
	theirs := space(t, p.store, client.ID().String())
	a, b := raw("a"), raw("b")
	root := folder(t, link("a", a.CID), link("b", b.CID))
	put(t, theirs, a, b, root)
	damage(t, theirs, b.CID)

	mine := memSpace(t, Options{})
	k, err := NewSink(t.Context(), mine, root.CID, Limits{})
	require.NoError(t, err)
	require.ErrorIs(t, protocol.Get(t.Context(), client, server, lease, root.CID, k, nil), protocol.ErrWithheld)
	require.NoError(t, k.Close())
	require.True(t, mine.Has(a.CID))
}
