// Package provider is the side of souk that has machines: it makes offers,
// answers requests with quotes, turns accepted quotes into leases, supervises
// their executions, and is paid tick by tick.
//
// It promises that nothing it signs leaves before it is on disk, that no tick
// starts which the client's voucher and credit don't cover (but for one grace),
// that every lease ends with a receipt that carries an outcome (unless the
// client never exchanges the channel's status after a restart: then nothing may
// be signed), and that what a lease holds of the machine is given back when it
// ends, also after a crash.
// It never holds a lock while it waits for a peer, and never imports the client.
package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"souk/internal/turns"
	"souk/node/blob"
	"souk/node/books"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// Limits of a provider (DESIGN §11). Times that depend on each other say so.
const (
	QuoteValidity   = 30 * time.Second
	OpenQuotes      = 8                // per peer
	RegularQuotes   = 128              // per peer that has earned credit
	PrepareTime     = 15 * time.Minute // from a quote's expiry to its startBy: inputs come in and the module is compiled
	KeepOutputs     = 24 * time.Hour   // after the latest end of a lease
	DefaultPatience = time.Minute      // the longest that a lease waits for the next block of its inputs, or then for an attach
	MaxCreditTicks  = 10
	CreditEvery     = 20 // countersigned receipts earn a tick of credit
)

// maxAccounts is how many channels are remembered as reconciled at once.
const maxAccounts = 16 << 10

// Ledger is the node's book; *ledger.Ledger is one.
type Ledger interface {
	Update(ctx context.Context, fn func(*ledger.Tx) error) error
	View(ctx context.Context, fn func(*ledger.Tx) error) error
	Peek(ctx context.Context, fn func(*ledger.Tx) error) error
	Healthy() error // nil while Updates are taken
}

// Config is what a provider works with. All of it is required but Caps,
// Neighbours, Notify and what says that it may be left out.
type Config struct {
	Host     host.Host
	Key      crypto.PrivKey
	Network  string
	Ledger   Ledger
	Blobs    *blob.Store
	Capacity *capacity.Capacity
	Offers   *offer.Cache // neighbours' offers, to hand on
	Boot     status.BootID
	Dir      string // logs of ended executions

	Executors  []executor.Executor // at least one, each of another kind
	CheckEvery time.Duration       // how often they are checked; 0 is DefaultCheckEvery
	Platform   string              // that images run on, "linux/amd64"; empty: not known
	Egress     bool                // whether jobs may connect to public places that their leases name
	// Use reports how real devices are used now, by ID and in that order; it
	// must be quick. Nil: nothing is reported.
	Use func(ids []string) []market.DeviceUse
	// Fault looks anew at those devices and says in a sentence what is wrong
	// with one of them; "" if nothing is. Nil: nothing ever is.
	Fault func(ids []string) string

	Total   capacity.Total // what is leased out when nothing is leased
	Speed   uint64
	Region  string
	Price   market.Amount // per hour
	Tick    time.Duration
	MaxTime time.Duration
	Prepay  uint32
	// Patience is the longest that a lease holds the machine before its process
	// starts while nothing comes: no block of its inputs, and then no attach.
	// 0 is DefaultPatience.
	Patience time.Duration
	Caps     Caps

	// Challenge is what offers say of challenges; "" says nothing.
	Challenge offer.Challenge
	// Measured gives what was measured of devices, by slug and count; nil gives none.
	Measured func(slug string, count int) []offer.Measurement
	// Neighbours yields providers near this one until ctx ends; their offers are handed on.
	Neighbours func(ctx context.Context) <-chan peer.AddrInfo
	LearnAfter time.Duration // from Start to the first look for neighbours; 0 is 15 s

	Addrs   func() []ma.Multiaddr
	Protect func(p peer.ID, on bool) // keeps connections of peers with leases
	Regular func(p peer.ID)          // told of a client that has earned credit; nil does nothing
	Now     func() time.Time
	Log     *slog.Logger
	Notify  func(Event) // told what happened, for people; must not block
}

// Caps bound what clients may owe, in money. Zero is no credit beyond one grace.
type Caps struct {
	Peer  market.Amount // credit to one client
	Total market.Amount // credit to all of them
}

// DefaultCaps is 1 to one client and 10 to all, in a token of 6 decimals. A
// Config has them only if whoever made it says so.
func DefaultCaps() Caps {
	return Caps{Peer: market.NewAmount(1_000_000), Total: market.NewAmount(10_000_000)}
}

// Provider trades a machine's time.
type Provider struct {
	Config
	signer    *market.Signer
	chain     market.Chain
	side      books.Side // decides what is signed and accepted
	shelf     *shelf
	twins     *status.Boots
	quotes    *openQuotes
	accepts   turns.Turns[market.Hash] // one accept of a quote at a time
	asking    turns.Turns[account]     // one exchange of a channel's status at a time
	leftOvers leftOvers
	room      sync.Mutex // keeps a stranger's quote, which only looks, from an accept, which takes

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closing bool
	closed  bool
	leases  map[market.Hash]*lease // those with a supervisor or an attached stream
	offer   sealed
	changed chan struct{} // closed and replaced when what is free changes
	agreed  *lru.Cache[account, struct{}]
	holders map[peer.ID]int // leases that hold something of the machine
}

// account is a channel as one peer may use it.
type account struct {
	peer    peer.ID
	channel market.Hash
}

// New makes a provider; Start makes it work.
func New(c Config) (*Provider, error) {
	signer, err := market.NewSigner(c.Key)
	if err != nil {
		return nil, err
	}
	if c.Tick < market.MinTickMillis*time.Millisecond || c.Tick > market.MaxTickMillis*time.Millisecond {
		return nil, fmt.Errorf("a tick of %s is not from 1s to 1h", c.Tick)
	}
	if c.Prepay == 0 {
		c.Prepay = 1
	}
	if err := affordable(c); err != nil {
		return nil, err
	}
	if c.Patience <= 0 {
		c.Patience = DefaultPatience
	}
	if c.CheckEvery <= 0 {
		c.CheckEvery = DefaultCheckEvery
	}
	executors, err := newShelf(c.Executors)
	if err != nil {
		return nil, err
	}
	if c.Regular == nil {
		c.Regular = func(peer.ID) {}
	}
	if c.Notify == nil {
		c.Notify = func(Event) {}
	}
	agreed, err := lru.New[account, struct{}](maxAccounts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Provider{
		Config: c, signer: signer, chain: market.NoChain(c.Network), ctx: ctx, cancel: cancel,
		side:  books.NewSide(market.NoChain(c.Network), signer),
		shelf: executors, twins: status.NewBoots(c.Host, c.Boot),
		quotes: newOpenQuotes(), leases: map[market.Hash]*lease{}, holders: map[peer.ID]int{},
		changed: make(chan struct{}), agreed: agreed,
	}, nil
}

// affordable refuses prices and prepayments that no quote could carry.
func affordable(c Config) error {
	tick := uint64(c.Tick.Milliseconds()) //nolint:gosec // 1 s to 1 h
	longest := uint64(max(c.MaxTime.Milliseconds(), 1))
	q := market.Quote{TickUnits: tick, TickPrice: market.TickPrice(c.Price, tick), MaxTicks: uint32((longest + tick - 1) / tick), MaxMillis: longest} //nolint:gosec // checked by Validate
	if err := q.Validate(); err != nil {
		return fmt.Errorf("the price %s per hour, the tick and the longest time of a lease don't go together: %w", c.Price, err)
	}
	if c.Prepay > market.MaxTermTicks {
		return fmt.Errorf("%d prepaid ticks are over %d", c.Prepay, market.MaxTermTicks)
	}
	return nil
}

// Address is the address that signs the provider's documents.
func (p *Provider) Address() market.Address { return p.signer.Address() }

// Chain is where the provider's vouchers settle.
func (p *Provider) Chain() market.Chain { return p.chain }

// Live is how many leases may still cost somebody time or money.
func (p *Provider) Live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.leases {
		if l.running() && !l.stopped() {
			n++
		}
	}
	return n
}

// Drain takes no more work and waits for the executions that run, until ctx ends.
func (p *Provider) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	p.freeChanged()
	for p.Live() > 0 {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if p.Live() == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close stops supervising. Executions go on without the node for as long as
// the executor lets them; Start of a later provider finds them again. Streams
// that are attached end with shutting_down.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.closing, p.closed = true, true
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
	return nil
}

// spawn runs f in a goroutine that Close waits for; once closed, it doesn't.
func (p *Provider) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Go(f)
	return true
}

// freeChanged says that what is free, or whether there are offers at all, has
// changed.
func (p *Provider) freeChanged() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offer.bytes = nil // its sequence stays: no two offers may bear the same
	close(p.changed)
	p.changed = make(chan struct{})
}

// Changed is closed when the offer changes.
func (p *Provider) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

func (p *Provider) nowMillis() uint64 { return uint64(p.Now().UnixMilli()) } //nolint:gosec // after 1970

// able refuses work while the node can't keep a promise.
func (p *Provider) able() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return wire.Refuse(wire.ShuttingDown, "this provider is shutting down and takes no more work")
	}
	if err := p.Ledger.Healthy(); err != nil {
		return wire.Refuse(wire.StorageTrouble, "this provider can't write its books and takes no more work")
	}
	return nil
}

// stored turns a ledger's fault into what a peer may know of it.
func stored(err error) error {
	var r *wire.Refusal
	if err == nil || errors.As(err, &r) {
		return err
	}
	if errors.Is(err, ledger.ErrBroken) {
		return wire.Refuse(wire.StorageTrouble, "this provider can't write its books and takes no more work")
	}
	return err
}

// maxAddrs keeps what an offer announces under its limit.
func maxAddrs(addrs []ma.Multiaddr) []ma.Multiaddr { return addrs[:min(len(addrs), offer.MaxAddrs)] }

// deviceTerms groups leased devices as terms name them.
func deviceTerms(devices []device.Device, shared bool) []market.Device {
	out := make([]market.Device, 0, len(devices))
	for _, g := range device.Groups(devices) {
		out = append(out, market.Device{Model: g.Model, Slug: g.Slug, VRAM: g.VRAM, Count: g.Count, Evidence: string(g.Kind), Shared: shared})
	}
	return out
}
