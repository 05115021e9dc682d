package client_test

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/blob"
	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/protocol/challenge"
	"souk/protocol/market"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newKey(t *testing.T) crypto.PrivKey {
	t.Helper()
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	return key
}

func newHost(t *testing.T, key crypto.PrivKey) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func folderWith(t *testing.T, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "result.txt"), []byte(text), 0o644))
	return dir
}

// found is a Finder that knows everybody, or who stands where.
type found struct {
	host  host.Host
	peers []peer.AddrInfo
	cells map[string][]peer.AddrInfo // by key; nil: peers, under any
	stuck string                     // a key under which a search doesn't end

	mu    sync.Mutex
	asked [][]string // keys, search by search
}

func (f *found) Find(ctx context.Context, keys []p2p.Key, _ int) <-chan peer.AddrInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	peers, texts := f.peers, make([]string, 0, len(keys))
	if f.cells != nil {
		peers = nil
	}
	for _, k := range keys {
		texts = append(texts, k.String())
		peers = append(peers, f.cells[k.String()]...)
	}
	f.asked = append(f.asked, texts)
	out := make(chan peer.AddrInfo, len(peers))
	for _, p := range peers {
		out <- p
	}
	if f.stuck != "" && slices.Contains(texts, f.stuck) {
		context.AfterFunc(ctx, func() { close(out) })
		return out
	}
	close(out)
	return out
}

func (f *found) Connect(ctx context.Context, info peer.AddrInfo) error {
	if s, ok := f.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID)
	}
	return f.host.Connect(ctx, info)
}

// actor is a client node: a directory and a key that stay, and an engine that
// can be killed and started again.
type actor struct {
	t      *testing.T
	dir    string
	key    crypto.PrivKey
	finder *found
	times  client.Times
	caps   client.Caps
	clock  client.Clock
	asks   challenge.Options
	block  func(peer.ID, time.Duration)

	book   *ledger.Ledger
	host   host.Host
	engine *client.Engine
}

func newActor(t *testing.T, fakes ...*fake) *actor {
	t.Helper()
	a := &actor{t: t, dir: t.TempDir(), key: newKey(t), finder: &found{}, asks: quickChallenge(), times: client.Times{
		Recent: -1, Find: 5 * time.Second, Alone: time.Minute, Lost: 2 * time.Second, Redial: 20 * time.Millisecond, Settle: time.Second, Busy: 50 * time.Millisecond,
	}}
	for _, f := range fakes {
		a.finder.peers = append(a.finder.peers, f.info())
	}
	t.Cleanup(a.stop)
	return a
}

// start opens the books and starts an engine on them; wrap may put something
// between the two.
func (a *actor) start(wrap func(client.Ledger) client.Ledger) *client.Engine {
	a.t.Helper()
	var err error
	a.book, err = ledger.Open(filepath.Join(a.dir, "ledger"), ledger.Options{})
	require.NoError(a.t, err)
	blobs, err := blob.Open(filepath.Join(a.dir, "blobs"), blob.Options{})
	require.NoError(a.t, err)
	a.host = newHost(a.t, a.key)
	a.finder.host = a.host
	var book client.Ledger = a.book
	if wrap != nil {
		book = wrap(book)
	}
	cfg := client.Config{
		Host: a.host, Finder: a.finder, Ledger: book, Blobs: blobs, Key: a.key, Network: network, Dir: filepath.Join(a.dir, "logs"),
		Times: a.times, Challenge: a.asks, Block: a.block, Caps: a.caps, Clock: a.clock,
	}
	_, _ = rand.Read(cfg.Boot[:])
	a.engine, err = client.New(cfg)
	require.NoError(a.t, err)
	require.NoError(a.t, a.engine.Start(a.t.Context()))
	return a.engine
}

func (a *actor) stop() {
	if a.engine == nil {
		return
	}
	require.NoError(a.t, a.engine.Close())
	require.NoError(a.t, a.host.Close())
	require.NoError(a.t, a.book.Close())
	a.engine = nil
}

// spec is a small job; edit changes it.
func spec(t *testing.T, edit func(*jobfile.Spec)) jobfile.Spec {
	t.Helper()
	module := filepath.Join(t.TempDir(), "job.wasm")
	require.NoError(t, os.WriteFile(module, []byte("\x00asm\x01\x00\x00\x00"), 0o644))
	s := jobfile.Spec{
		Name: "test", WASM: module, Outputs: "/out", CPU: 1, Memory: 64 << 20, Disk: 64 << 20, Time: time.Minute,
		Total: market.NewAmount(1_000_000), Region: "any", Retries: 2,
	}
	if edit != nil {
		edit(&s)
	}
	return s
}

// finished watches a job to its end and gives everything that was told.
func finished(t *testing.T, e *client.Engine, id string) (events []client.Event, last client.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ch, err := e.Watch(ctx, id, 0)
	require.NoError(t, err)
	for ev := range ch {
		events = append(events, ev)
	}
	require.NotEmpty(t, events)
	last = events[len(events)-1]
	require.Equal(t, client.Finished, last.Kind, "%+v", last)
	return events, last
}

func logOf(events []client.Event) (text string) {
	for _, ev := range events {
		text += string(ev.Data)
	}
	return text
}

const (
	waitFor = 20 * time.Second
	often   = 10 * time.Millisecond
)
