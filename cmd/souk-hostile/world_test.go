package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/protocol/blob"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
)

const testNetwork = "test"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/host/basic.(*addrsManager).background"))
}

// lines is what a peer printed.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// world is a hostile provider and an honest guest of it.
type world struct {
	t    *testing.T
	shop *shop
	host host.Host
	told *lines
	*guest
}

func newShop(t *testing.T, cs ...cheat) (*shop, *lines) {
	key, err := newKey()
	require.NoError(t, err)
	h, err := newHost(key, "/ip4/127.0.0.1/tcp/0")
	require.NoError(t, err)
	told := &lines{}
	s, err := openShop(h, shopConfig{
		network: testNetwork, key: key, price: market.NewAmount(3_600_000), tick: time.Second, region: "eu", speed: 1000, ticks: 3,
		device: market.Device{Model: "RTX 4090", Slug: "rtx-4090", VRAM: 24 << 30, Count: 1, Evidence: market.Simulated},
		cheats: cs, say: (&story{w: told}).say,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		s.close()
		_ = h.Close()
	})
	return s, told
}

func info(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

func newWorld(t *testing.T, behave string) *world {
	t.Parallel()
	cs, err := parseCheats(behave)
	require.NoError(t, err)
	s, told := newShop(t, cs...)
	g, err := newGuest(t.Context(), testNetwork, info(s.host))
	require.NoError(t, err)
	t.Cleanup(g.close)
	return &world{t: t, shop: s, host: s.host, told: told, guest: g}
}

// rent goes through quote, accept and inputs.
func (w *world) rent() lease.Accepted {
	a, err := w.agreed(w.t.Context(), "test")
	require.NoError(w.t, err)
	_, err = w.accept(w.t.Context(), a)
	require.NoError(w.t, err)
	require.NoError(w.t, w.sendModule(w.t.Context(), a))
	return a
}

// A payer is a client that checks receipts as an honest one does.
type payer struct {
	w     *world
	a     lease.Accepted
	start time.Time
	prev  *market.Receipt
	log   []byte
	done  *pb.Done
}

var errOverTime = errors.New("more running time than has passed")

func (w *world) payer(a lease.Accepted) *payer { return &payer{w: w, a: a} }

// pay attaches and countersigns until the end, or until a receipt doesn't
// check.
func (p *payer) pay() error {
	if p.start.IsZero() {
		p.start = time.Now()
	}
	at := run.Attach{Lease: p.a.Lease.Hash(), LogOffset: uint64(len(p.log))}
	if p.prev != nil {
		at.ReceiptSeq = p.prev.Seq
	}
	s, err := run.Open(p.w.t.Context(), p.w.guest.host, p.w.target.ID, at)
	if err != nil {
		return err
	}
	defer s.Close()
	return p.listen(s, nil)
}

func (p *payer) listen(s *run.Session, stop func() bool) error {
	for {
		e, err := s.Next()
		if err != nil {
			return err
		}
		switch {
		case e.GetLog() != nil:
			p.log = append(p.log, e.GetLog().GetData()...)
		case e.GetTick() != nil:
			err = p.receipt(s, e.GetTick().GetReceipt())
		case e.GetDone() != nil:
			p.done = e.GetDone()
			err = p.receipt(s, e.GetDone().GetReceipt())
		case e.GetSettled() != nil && p.done != nil:
			return nil
		}
		if err != nil || stop != nil && stop() {
			return err
		}
	}
}

// receipt checks and countersigns one.
func (p *payer) receipt(s *run.Session, m *pb.Receipt) error {
	g := p.w.guest
	r, _, err := lease.ReadReceipt(m, g.parties)
	if err != nil {
		return err
	}
	if fault := p.a.Quote.CheckReceipt(p.prev, r, p.a.Lease.Hash()); fault != nil {
		return fault
	}
	if passed := uint64(time.Since(p.start).Milliseconds()) + 250; r.Units > passed {
		return fmt.Errorf("%w: %d ms after %d", errOverTime, r.Units, passed)
	}
	p.prev = &r
	sig, err := g.signer.Sign(g.parties.Chain.Digest(r.Hash()))
	if err != nil {
		return err
	}
	v := market.Voucher{Channel: p.a.Quote.Channel, Max: p.a.Quote.Part(r.Charged, p.a.Terms.PrepayTicks, r.Outcome != market.NotEnded)}
	vsig, err := g.signer.Sign(g.parties.Chain.VoucherDigest(v))
	if err != nil {
		return err
	}
	return s.Countersign(r.Seq, sig, &pb.Voucher{Voucher: v.Encode(), Signature: vsig[:]})
}

// basket is a sink that takes the blocks of the made-up outputs, each checked
// against the one that it should be.
type basket struct {
	want [][]byte
	got  int
}

func (b *basket) Skip() int      { return b.got }
func (b *basket) Complete() bool { return b.got == len(b.want) }
func (b *basket) Close() error   { return nil }
func (b *basket) Accept(block []byte) error {
	if string(block) != string(b.want[b.got]) {
		return fmt.Errorf("%w: another block", blob.ErrGarbage)
	}
	b.got++
	return nil
}

// outputs fetches what the lease's last receipt names.
func (p *payer) outputs(ctx context.Context) error {
	root, err := cid.Cast(p.done.GetOutputs())
	if err != nil {
		return err
	}
	h := p.a.Lease.Hash()
	l := p.w.shop.find(h, p.w.guest.host.ID())
	return blob.Get(ctx, p.w.guest.host, p.w.target.ID, h, root, &basket{want: l.results.blocks}, nil)
}
