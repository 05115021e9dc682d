package provider_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/blob"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/node/provider"
	blobs "souk/protocol/blob"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/status"
	"souk/protocol/wire"
)

const network = "test"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/quic-go/quic-go.(*Transport).listen"),
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/host/basic.(*addrsManager).background"),
	)
}

func newHost(t *testing.T) (host.Host, crypto.PrivKey) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h, key
}

// shop is a provider on a real host, ledger and blob store, with staged processes.
type shop struct {
	t     *testing.T
	host  host.Host
	key   crypto.PrivKey
	dir   string
	stage *stage
	total capacity.Total
	fate  *fate // nil is a node that doesn't crash
	with  func(*provider.Config)

	*provider.Provider
	ledger     *ledger.Ledger
	capacity   *capacity.Capacity
	dispatcher *wire.Dispatcher
}

func newShop(t *testing.T, with ...func(*provider.Config)) *shop {
	s := &shop{t: t, dir: t.TempDir(), stage: newStage(t), with: func(c *provider.Config) {
		for _, w := range with {
			w(c)
		}
	}}
	s.host, s.key = newHost(t)
	simulated, err := device.ParseSimulated("RTX 4090:1")
	require.NoError(t, err)
	devices, err := device.Detect(t.Context(), simulated)
	require.NoError(t, err)
	s.total = capacity.Total{Devices: devices, CPU: 4, Memory: 1 << 30, Disk: 1 << 30, Slots: 4}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *shop) open() {
	t := s.t
	var err error
	s.ledger, err = ledger.Open(filepath.Join(s.dir, "ledger"), ledger.Options{})
	require.NoError(t, err)
	store, err := blob.Open(filepath.Join(s.dir, "blobs"), blob.Options{})
	require.NoError(t, err)
	s.capacity, err = capacity.New(s.total, time.Now)
	require.NoError(t, err)
	cache, err := offer.NewCache(10)
	require.NoError(t, err)
	var boot status.BootID
	_, _ = rand.Read(boot[:])
	c := provider.Config{
		Host: s.host, Key: s.key, Network: network, Ledger: s.ledger, Blobs: store, Executors: []executor.Executor{s.stage}, Capacity: s.capacity, Offers: cache,
		Boot: boot, Dir: filepath.Join(s.dir, "logs"), Total: s.total, Speed: 1, Region: "eu", Price: market.NewAmount(3_600_000), // 1000 a second
		Tick: time.Second, MaxTime: time.Hour, Addrs: s.host.Addrs, Protect: func(peer.ID, bool) {}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if s.fate != nil {
		c.Ledger, c.Executors = &frailLedger{s.ledger, s.fate}, []executor.Executor{&frailStage{s.stage, s.fate}}
	}
	s.with(&c)
	s.Provider, err = provider.New(c)
	require.NoError(t, err)
	s.dispatcher = wire.NewDispatcher(s.host, wire.Strangers{}, slog.New(slog.DiscardHandler))
	if err := s.Start(t.Context()); err != nil {
		require.ErrorIs(t, err, errCrash)
	}
	offer.Serve(s.dispatcher, network, s.Provider)
	lease.Serve(s.dispatcher, s.Chain(), s.Address(), s.Provider)
	run.Serve(s.dispatcher, s.Provider)
	blobs.Serve(s.dispatcher, s.Provider)
	status.Serve(s.dispatcher, s.Provider)
}

func (s *shop) close() {
	s.dispatcher.Close()
	require.NoError(s.t, s.Provider.Close())
	require.NoError(s.t, s.ledger.Close())
}

func (s *shop) restart() {
	s.close()
	s.open()
}

// nothingHeld waits until the whole machine is free again.
func (s *shop) nothingHeld() {
	require.Eventually(s.t, func() bool {
		free := s.capacity.Free()
		return free.CPU == s.total.CPU && free.Memory == s.total.Memory && free.Disk == s.total.Disk &&
			free.Slots == s.total.Slots && len(free.Devices) == len(s.total.Devices) && s.stage.left() == 0
	}, time.Minute, 10*time.Millisecond, "something is still held, or an execution is left over")
}

// guest is a client made of the protocol's own parts.
type guest struct {
	t       *testing.T
	host    host.Host
	signer  *market.Signer
	shop    *shop
	parties lease.Parties
	config  market.ChannelConfig
	boot    status.BootID
	blobs   *blob.Space
	module  cid.Cid
	request market.Request
	job     market.Job
	paid    market.Amount
	skew    time.Duration                     // of its clock
	holds   *atomic.Pointer[pb.ChannelStatus] // of the channel; nil: nothing
}

func newGuest(t *testing.T, s *shop) *guest {
	g := &guest{t: t, shop: s, holds: new(atomic.Pointer[pb.ChannelStatus])}
	var key crypto.PrivKey
	g.host, key = newHost(t)
	var err error
	g.signer, err = market.NewSigner(key)
	require.NoError(t, err)
	require.NoError(t, g.host.Connect(t.Context(), peer.AddrInfo{ID: s.host.ID(), Addrs: s.host.Addrs()}))
	g.parties = lease.Parties{Chain: s.Chain(), Provider: s.Address(), Client: g.signer.Address()}
	g.config = lease.NewConfig(g.parties, market.Address{}, market.Hash{1})
	_, _ = rand.Read(g.boot[:])
	d := wire.NewDispatcher(g.host, wire.Strangers{}, slog.New(slog.DiscardHandler))
	status.Serve(d, g)
	t.Cleanup(d.Close)

	store, err := blob.Open(t.TempDir(), blob.Options{})
	require.NoError(t, err)
	g.blobs, err = store.Space(blob.Local)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "module.wasm")
	require.NoError(t, os.WriteFile(file, []byte("\x00asm\x01\x00\x00\x00"), 0o600))
	g.module, _, err = blob.AddPath(t.Context(), g.blobs, file, nil)
	require.NoError(t, err)
	g.request = market.Request{Network: network, Executor: "wasm", CPU: 1, Memory: 64 << 20, Disk: 64 << 20, MaxMillis: 60_000}
	g.job = market.Job{Name: "test", WASM: g.module, Outputs: "/out"}
	return g
}

func (g *guest) LeaseStatus(context.Context, peer.ID, market.Quote, market.Signature) (*pb.LeaseStatus, error) {
	return nil, wire.Refuse(wire.Unknown, "a client signs no quotes")
}

func (g *guest) ChannelStatus(context.Context, peer.ID, market.Hash, status.BootID, uint64) (*pb.ChannelStatus, error) {
	if held := g.holds.Load(); held != nil {
		return held, nil
	}
	return &pb.ChannelStatus{BootId: g.boot[:]}, nil
}

func (g *guest) channel() market.Hash { return g.parties.Chain.ChannelID(g.config) }

func (g *guest) ask() (lease.Quoted, error) {
	block, err := g.request.Encode()
	require.NoError(g.t, err)
	return lease.Ask(g.t.Context(), g.host, g.shop.host.ID(), g.parties, block, g.config, uint64(time.Now().Add(g.skew).UnixMilli()))
}

func (g *guest) reconcile() error {
	_, err := status.Channel(g.t.Context(), g.host, g.shop.host.ID(), g.channel(), g.boot, 0)
	return err
}

// acceptance signs a quote, with a voucher that covers pay more than before.
func (g *guest) acceptance(q lease.Quoted, pay market.Amount) lease.Accepted {
	block, err := g.job.Encode()
	require.NoError(g.t, err)
	a := lease.Accepted{Quoted: q, Lease: market.Lease{QuoteHash: q.Quote.Hash(), JobHash: market.BlockHash(block)}, JobBlock: block}
	a.LeaseBlock = a.Lease.Encode()
	a.ClientSignature, err = g.signer.Sign(g.parties.Chain.Digest(a.Lease.Hash()))
	require.NoError(g.t, err)
	v, sig := g.voucher(pay)
	a.Voucher, a.VoucherSignature = &v, sig
	return a
}

func (g *guest) voucher(more market.Amount) (market.Voucher, market.Signature) {
	g.paid = g.paid.Add(more)
	v := market.Voucher{Channel: g.channel(), Max: g.paid}
	sig, err := g.signer.Sign(g.parties.Chain.VoucherDigest(v))
	require.NoError(g.t, err)
	return v, sig
}

func (g *guest) send(a lease.Accepted) error {
	_, err := lease.Accept(g.t.Context(), g.host, g.shop.host.ID(), g.parties, a)
	return err
}

// lease goes through quote and accept, and sends the module.
func (g *guest) lease() lease.Accepted {
	q, err := g.ask()
	require.NoError(g.t, err)
	require.NoError(g.t, g.reconcile())
	a := g.acceptance(q, q.Quote.TickPrice)
	require.NoError(g.t, g.send(a))
	g.put(a)
	return a
}

func (g *guest) put(a lease.Accepted) {
	require.NoError(g.t, g.deliver(a))
}

func (g *guest) deliver(a lease.Accepted) error {
	source := func(skip int) blobs.Source { return g.blobs.Source(g.t.Context(), g.module, skip, blob.Limits{}) }
	return blobs.Put(g.t.Context(), g.host, g.shop.host.ID(), a.Lease.Hash(), g.module, source, nil)
}

// visit is one attached conversation.
type visit struct {
	g        *guest
	a        lease.Accepted
	s        *run.Session
	log      []byte
	last     *market.Receipt
	body     market.Body // of the newest one
	receipts []market.Receipt
	silent   atomic.Bool // countersign nothing
}

func (g *guest) attach(a lease.Accepted, seq uint32) *visit {
	s, err := run.Open(g.t.Context(), g.host, g.shop.host.ID(), run.Attach{Lease: a.Lease.Hash(), ReceiptSeq: seq})
	require.NoError(g.t, err)
	g.t.Cleanup(s.Close)
	return &visit{g: g, a: a, s: s}
}

// next handles events until one that stop wants, or the conversation's end.
func (v *visit) next(stop func(*pb.RunEvent) bool) error {
	for {
		e, err := v.s.Next()
		if err != nil {
			return err
		}
		switch {
		case e.GetLog() != nil:
			v.log = append(v.log, e.GetLog().GetData()...)
		case e.GetTick() != nil:
			v.receipt(e.GetTick().GetReceipt())
		case e.GetDone() != nil:
			v.receipt(e.GetDone().GetReceipt())
		}
		if stop(e) {
			return nil
		}
	}
}

func (v *visit) receipt(m *pb.Receipt) {
	t := v.g.t
	r, _, err := lease.ReadReceipt(m, v.g.parties)
	require.NoError(t, err)
	v.body, err = market.DecodeBody(m.GetBody())
	require.NoError(t, err)
	if fault := v.a.Quote.CheckReceipt(v.last, r, v.a.Lease.Hash()); v.last != nil && fault != nil {
		require.NoError(t, fault)
	}
	before := market.Amount{}
	if v.last != nil {
		before = v.last.Charged
	}
	v.last = &r
	v.receipts = append(v.receipts, r)
	if v.silent.Load() {
		return
	}
	sig, err := v.g.signer.Sign(v.g.parties.Chain.Digest(r.Hash()))
	require.NoError(t, err)
	voucher, vsig := v.g.voucher(r.Charged.Sub(before))
	require.NoError(t, v.s.Countersign(r.Seq, sig, &pb.Voucher{Voucher: voucher.Encode(), Signature: vsig[:]}))
}

func isDone(e *pb.RunEvent) bool { return e.GetDone() != nil }

func settled(seq uint32) func(*pb.RunEvent) bool {
	return func(e *pb.RunEvent) bool { return e.GetSettled().GetSeq() == seq }
}

func ticks(n uint32) func(*pb.RunEvent) bool {
	return func(e *pb.RunEvent) bool {
		r, err := market.DecodeReceipt(e.GetTick().GetReceipt().GetReceipt())
		return err == nil && r.Seq >= n
	}
}

func logged(v *visit, text string) func(*pb.RunEvent) bool {
	return func(*pb.RunEvent) bool { return string(v.log) == text }
}

var _ io.Reader = (*follow)(nil)
