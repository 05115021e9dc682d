package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/blob"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// guest is a client with a key of its own that can do all that an honest one
// does, step by step.
type guest struct {
	host       host.Host
	target     peer.AddrInfo
	network    string
	signer     *market.Signer
	parties    lease.Parties
	config     market.ChannelConfig
	boot       status.BootID
	dispatcher *wire.Dispatcher
}

// newGuest connects a new peer to the provider.
func newGuest(ctx context.Context, network string, target peer.AddrInfo) (*guest, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	h, err := newHost(key)
	if err != nil {
		return nil, err
	}
	g := &guest{host: h, target: target, network: network}
	if err := g.open(ctx); err != nil {
		_ = h.Close()
		return nil, err
	}
	return g, nil
}

func (g *guest) open(ctx context.Context) (err error) {
	if g.signer, err = market.NewSigner(g.host.Peerstore().PrivKey(g.host.ID())); err != nil {
		return err
	}
	provider, err := market.AddressOf(g.target.ID)
	if err != nil {
		return err
	}
	g.parties = lease.Parties{Chain: market.NoChain(g.network), Provider: provider, Client: g.signer.Address()}
	var salt market.Hash
	_, _ = rand.Read(salt[:]) // never fails
	_, _ = rand.Read(g.boot[:])
	g.config = lease.NewConfig(g.parties, market.Address{}, salt)
	dial, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := g.host.Connect(dial, g.target); err != nil {
		return fmt.Errorf("the provider can't be reached: %w", err)
	}
	// A provider asks its client for the channel's status in its turn.
	g.dispatcher = wire.NewDispatcher(g.host, wire.Strangers{}, slog.New(slog.DiscardHandler))
	status.Serve(g.dispatcher, g)
	return nil
}

func (g *guest) close() {
	g.dispatcher.Close()
	_ = g.host.Close()
}

// LeaseStatus refuses: a client signs no quotes.
func (g *guest) LeaseStatus(context.Context, peer.ID, market.Quote, market.Signature) (*pb.LeaseStatus, error) {
	return nil, wire.Refuse(wire.Unknown, "a client signs no quotes")
}

// ChannelStatus says that this client has signed nothing before.
func (g *guest) ChannelStatus(context.Context, peer.ID, market.Hash, status.BootID, uint64) (*pb.ChannelStatus, error) {
	return &pb.ChannelStatus{BootId: g.boot[:]}, nil
}

// What a guest asks for: little enough for any provider.
const (
	guestMemory = 64 << 20
	guestDisk   = 64 << 20
	guestMillis = 10 * 60 * 1000
)

// quote asks for a quote and exchanges the channel's status.
func (g *guest) quote(ctx context.Context) (lease.Quoted, error) {
	block, err := market.Request{
		Network: g.network, Executor: "wasm", CPU: 1, Memory: guestMemory, Disk: guestDisk, MaxMillis: guestMillis, InputBytes: int64(len(endless())),
	}.Encode()
	if err != nil {
		return lease.Quoted{}, err
	}
	q, err := lease.Ask(ctx, g.host, g.target.ID, g.parties, block, g.config, uint64(time.Now().UnixMilli())) //nolint:gosec // after 1970
	if err != nil {
		return q, fmt.Errorf("no quote: %w", err)
	}
	_, err = status.Channel(ctx, g.host, g.target.ID, q.Quote.Channel, g.boot, 0)
	if err != nil {
		return q, fmt.Errorf("no channel status: %w", err)
	}
	return q, nil
}

// acceptance signs a quote for the endless job, with a voucher of max.
func (g *guest) acceptance(q lease.Quoted, name string, limit market.Amount) (lease.Accepted, error) {
	a := lease.Accepted{Quoted: q}
	a.Job = market.Job{Name: name, WASM: rawCID(market.BlockHash(endless()))}
	var err error
	if a.JobBlock, err = a.Job.Encode(); err != nil {
		return a, err
	}
	a.Lease = market.Lease{QuoteHash: q.Quote.Hash(), JobHash: market.BlockHash(a.JobBlock)}
	a.LeaseBlock = a.Lease.Encode()
	if a.ClientSignature, err = g.signer.Sign(g.parties.Chain.Digest(a.Lease.Hash())); err != nil || q.Quote.TickPrice.IsZero() {
		return a, err
	}
	a.Voucher = &market.Voucher{Channel: q.Quote.Channel, Max: limit}
	a.VoucherSignature, err = g.signer.Sign(g.parties.Chain.VoucherDigest(*a.Voucher))
	return a, err
}

// enough is the voucher that a quote's prepaid ticks need on a new channel.
func enough(q lease.Quoted) market.Amount {
	return q.Quote.Part(market.Amount{}, q.Terms.PrepayTicks, false)
}

func (g *guest) accept(ctx context.Context, a lease.Accepted) (market.Signature, error) {
	return lease.Accept(ctx, g.host, g.target.ID, g.parties, a)
}

// sendModule sends the endless job's module.
func (g *guest) sendModule(ctx context.Context, a lease.Accepted) error {
	source := func(skip int) blob.Source {
		return func(yield func([]byte, error) bool) {
			if skip == 0 {
				yield(endless(), nil)
			}
		}
	}
	return blob.Put(ctx, g.host, g.target.ID, a.Lease.Hash(), a.Job.WASM, source, nil)
}

func (g *guest) attach(ctx context.Context, a lease.Accepted) (*run.Session, error) {
	return run.Open(ctx, g.host, g.target.ID, run.Attach{Lease: a.Lease.Hash()})
}

// cancel ends a lease that was agreed, and waits for its last receipt.
func (g *guest) cancel(ctx context.Context, a lease.Accepted) error {
	s, err := g.attach(ctx, a)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Cancel(); err != nil {
		return err
	}
	for {
		e, err := s.Next()
		if err != nil || e.GetDone() != nil {
			return err
		}
	}
}

// endless is a WASM module whose _start never returns:
//
//	(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))
func endless() []byte {
	return []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // type: func()
		"\x03\x02\x01\x00" + // one function of it
		"\x05\x03\x01\x00\x01" + // a memory of one page
		"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" +
		"\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b")
}
