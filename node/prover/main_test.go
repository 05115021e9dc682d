package prover_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/internal/modmath"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/device/kernel"
	"souk/node/prover"
	"souk/protocol/challenge"
	"souk/protocol/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/quic-go/quic-go.(*Transport).listen"),
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/host/basic.(*addrsManager).background"),
	)
}

const slug = "rtx-4090"

// world is one provider with two devices, each of which is a core of this CPU.
type world struct {
	*prover.Prover
	free *capacity.Capacity
	key  crypto.PrivKey
	id   peer.ID
	now  time.Time
	open atomic.Int32 // kernels and memories that weren't given back
	fail func(call string) error
}

func newKey(t testing.TB) (crypto.PrivKey, peer.ID) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	return key, id
}

func devices() []device.Device {
	return []device.Device{
		{ID: "a", Model: "RTX 4090", Slug: slug, VRAM: 8 << 20, Kind: device.Claimed},
		{ID: "b", Model: "RTX 4090", Slug: slug, VRAM: 8 << 20, Kind: device.Claimed},
		{ID: "c", Model: "H100", Slug: "h100", VRAM: 8 << 20, Kind: device.Simulated},
	}
}

func newWorld(t *testing.T, change func(*prover.Config)) *world {
	w := &world{now: time.UnixMilli(1_800_000_000_000), fail: func(string) error { return nil }}
	w.key, w.id = newKey(t)
	var err error
	w.free, err = capacity.New(capacity.Total{Devices: devices(), CPU: 4, Memory: 1 << 30, Disk: 1 << 30, Slots: 8}, time.Now)
	require.NoError(t, err)
	c := prover.Config{
		Network: "test", Key: w.key, Mode: prover.Free, Capacity: w.free, Simulate: true, Self: quick(),
		Open: w.openKernel, Now: func() time.Time { return w.now },
	}
	change(&c)
	w.Prover, err = prover.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { w.nothingHeld(t) })
	return w
}

func (w *world) openKernel(_ context.Context, d device.Device) (kernel.Kernel, error) {
	if err := w.fail("open " + d.ID); err != nil {
		return nil, err
	}
	w.open.Add(1)
	return &counted{Kernel: &kernel.CPU{ID: d.ID, Memory: uint64(d.VRAM)}, w: w}, nil //nolint:gosec // not negative
}

// nothingHeld counts what is left after challenges.
func (w *world) nothingHeld(t *testing.T) {
	require.Eventually(t, func() bool { return w.open.Load() == 0 && len(w.free.Free().Devices) == 3 && w.free.Free().Slots == 8 },
		10*time.Second, time.Millisecond, "%d kernels or memories open, %d devices free", w.open.Load(), len(w.free.Free().Devices))
}

// counted is a kernel that fails where the test wants it.
type counted struct {
	kernel.Kernel
	w *world
}

func (c *counted) Multiply(ctx context.Context, job modmath.Product) (kernel.Product, error) {
	if err := c.w.fail("multiply"); err != nil {
		return kernel.Product{}, err
	}
	return c.Kernel.Multiply(ctx, job)
}

func (c *counted) Fill(ctx context.Context, job modmath.Memory) (kernel.Memory, error) {
	if err := c.w.fail("fill " + c.DeviceID()); err != nil {
		return nil, err
	}
	m, err := c.Kernel.Fill(ctx, job)
	if err == nil {
		c.w.open.Add(1)
		m = &memory{m, c.w}
	}
	return m, err
}

func (c *counted) Close() error {
	c.w.open.Add(-1)
	return c.Kernel.Close()
}

type memory struct {
	kernel.Memory
	w *world
}

func (m *memory) Release() error {
	m.w.open.Add(-1)
	return m.Memory.Release()
}

var errBroken = errors.New("the device fell off the bus")

// client is another machine on the network, connected to this provider.
func (w *world) client(t *testing.T) host.Host {
	key, _ := newKey(t)
	server, client := newHost(t, w.key), newHost(t, key)
	require.NoError(t, client.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Addrs()}))
	d := wire.NewDispatcher(server, wire.Strangers{}, slog.New(slog.DiscardHandler))
	challenge.Serve(d, "test", server.ID(), w)
	t.Cleanup(d.Close)
	return client
}

func newHost(t *testing.T, key crypto.PrivKey) host.Host {
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// quick is a challenge that a busy machine stands: what it catches is tried in
// protocol/challenge, where time is a model's.
func quick() challenge.Options {
	return challenge.Options{Work: 50 * time.Millisecond, Share: 0.01, Slack: 20 * time.Second, Orders: []int{32, 64}, Steps: 256, Samples: 8}
}

func claim() challenge.Claim {
	return challenge.Claim{Slug: slug, Count: 2, Blocks: challenge.Blocks(8 << 20)}
}
