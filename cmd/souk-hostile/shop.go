package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"

	"souk/protocol/blob"
	"souk/protocol/challenge"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// Limits on what a shop keeps of its victims.
const (
	maxLeases = 1024
	maxVoid   = 4096
)

// shopConfig is what a hostile provider is like.
type shopConfig struct {
	network string
	key     crypto.PrivKey
	price   market.Amount // per hour
	tick    time.Duration
	device  market.Device
	region  string
	speed   uint64  // in its offer, loops per second
	ticks   int     // that a job seems to run
	cheats  []cheat // of the first lease, the second…; the last one is that of all later ones
	say     func(format string, args ...any)
}

// shop is a provider that serves every protocol and runs nothing.
type shop struct {
	cfg        shopConfig
	host       host.Host
	dispatcher *wire.Dispatcher
	chain      market.Chain
	signer     *market.Signer
	stranger   *market.Signer // signs what isn't signed by this peer
	boot       status.BootID

	ctx    context.Context //nolint:containedctx // of everything that goes on until close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	gone   chan struct{} // closed when a lease made the shop vanish
	once   sync.Once

	mu       sync.Mutex
	closed   bool
	offer    sealedOffer
	requests int                           // accepts of different quotes, refused ones too
	refused  map[market.Hash]error         // by quote
	leases   map[market.Hash]*rented       // by lease
	byQuote  map[market.Hash]*rented       // by quote
	void     map[market.Hash]bool          // quotes
	vouchers map[market.Hash]*pb.Voucher   // the newest of each channel
	highest  map[market.Hash]market.Amount // what that one allows
}

// openShop starts to serve on h. Close ends all of it but h.
func openShop(h host.Host, cfg shopConfig) (*shop, error) {
	signer, err := market.NewSigner(cfg.key)
	if err != nil {
		return nil, err
	}
	other, err := newKey()
	if err != nil {
		return nil, err
	}
	stranger, err := market.NewSigner(other)
	if err != nil {
		return nil, err
	}
	s := &shop{
		cfg: cfg, host: h, chain: market.NoChain(cfg.network), signer: signer, stranger: stranger, gone: make(chan struct{}),
		refused: make(map[market.Hash]error), leases: make(map[market.Hash]*rented), byQuote: make(map[market.Hash]*rented),
		void: make(map[market.Hash]bool), vouchers: make(map[market.Hash]*pb.Voucher), highest: make(map[market.Hash]market.Amount),
	}
	_, _ = rand.Read(s.boot[:]) // never fails
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.dispatcher = wire.NewDispatcher(h, wire.Strangers{}, slog.New(slog.DiscardHandler))
	offer.Serve(s.dispatcher, cfg.network, s)
	lease.Serve(s.dispatcher, s.chain, signer.Address(), s)
	blob.Serve(s.dispatcher, s)
	status.Serve(s.dispatcher, s)
	challenge.Serve(s.dispatcher, cfg.network, h.ID(), guesser{s})
	h.SetStreamHandler(wire.RunProtocol, s.attached)
	return s, nil
}

func (s *shop) say(format string, args ...any) { s.cfg.say(format, args...) }

// enter counts a goroutine in, unless the shop is closed.
func (s *shop) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// cheatNow is how the next lease, and what comes before it, is cheated.
func (s *shop) cheatNow() cheat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cheatOf(s.requests)
}

// cheatOf is the behaviour of the n-th lease, from 0.
func (s *shop) cheatOf(n int) cheat { return s.cfg.cheats[min(n, len(s.cfg.cheats)-1)] }

// vanish tells whoever runs the shop to close its host.
func (s *shop) vanish() { s.once.Do(func() { close(s.gone) }) }

func (s *shop) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.host.RemoveStreamHandler(wire.RunProtocol)
	s.cancel()
	s.dispatcher.Close()
	s.wg.Wait()
}
