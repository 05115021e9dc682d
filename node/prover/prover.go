// Package prover is the provider's side of challenges: it holds the devices that
// a client asks about, runs their kernels all at once, and answers.
//
// It promises that a device answers one challenge at a time, and only while no
// lease has it but the asker's own; that everything a challenge holds is given back
// when it ends, however it ends; and that a stranger gets no more of the
// machine's time than Limits say. It measures this machine itself in the same
// way, and keeps the newest signed measurements for the offer.
//
// A simulated device answers only where the node is told to simulate kernels, as a
// testnet is; that says so in its answer and is never measured. The package
// judges no answer and never reads from the network.
package prover

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"souk/internal/bounded"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/device/kernel"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// Mode says whose challenges are answered.
type Mode string

// The modes.
const (
	Free  Mode = "free"  // anybody's, on free devices; and those of leases
	Lease Mode = "lease" // under a running lease only, whose ticks go on
	Off   Mode = "off"   // nobody's
)

// Limits of what a peer gets. The time is that of the kernels, of each device.
const (
	PerPeer     = 3                 // challenges, and one more each time that Again has passed
	Again       = 200 * time.Second //
	Window      = 10 * time.Minute  // after a challenge, in which its rates may be signed
	ProductTime = 6 * time.Second   // of all products of one challenge: two of challenge.Options.Work, under load, and finding a rate out
	MemoryTime  = 6 * time.Second   // of filling for a stranger; 64 MiB where the rate isn't known yet

	// A stranger costs nothing to be, so all of them together get no more of a
	// device than StrangerTime at once, and a StrangerShare of all time: else they
	// could keep it from being leased.
	StrangerTime  = challenge.MaxTime + challenge.MaxWork
	StrangerShare = 0.25

	maxPeers     = 4096
	unknownBlock = 1024 // blocks that are filled for a stranger before the rate is known
)

// Config is what a prover works with. All of it is required but Simulate,
// Self, Changed, Leased, Store and Log.
type Config struct {
	Network  string
	Key      crypto.PrivKey
	Mode     Mode
	Capacity *capacity.Capacity
	// Open opens the kernel of a device that isn't simulated; a *kernel.NotFoundError
	// is a device that no driver computes on.
	Open func(ctx context.Context, d device.Device) (kernel.Kernel, error)
	// Simulate answers for simulated devices with the CPU.
	Simulate bool
	// Leased gives the devices of a client's running lease, and what is closed
	// when it ends; a refusal says why not.
	Leased func(client peer.ID, lease market.Hash) (devices []device.Device, over <-chan struct{}, err error)
	// Self is how this node measures itself; zero: as a client would.
	Self challenge.Options
	// Changed is told that there are new measurements; it must not block.
	Changed func()
	// Store keeps measurements over restarts; nil: they are in memory alone.
	Store Store
	Now   func() time.Time
	Log   *slog.Logger
}

// Prover answers challenges. It is safe for concurrent use, and has no goroutine of its own.
type Prover struct {
	Config
	self peer.ID

	keeping sync.Mutex // of one write of the store at a time

	mu       sync.Mutex
	busy     map[string]bool           // device ID
	calls    map[string]*bounded.Calls // of each device's driver
	given    map[string]*rate.Limiter  // seconds of strangers, by device ID
	asking   map[peer.ID]bool          // one challenge at a time
	asks     *lru.Cache[peer.ID, *rate.Limiter]
	finished *lru.Cache[peer.ID, finished]
	speeds   map[string]speed // by slug, as this node measured itself
	book     book
}

// speed is what one device does by its own clock.
type speed struct {
	Ops    float64 // operations per second
	Blocks float64 // filled per second
}

// finished is the last challenge that a peer has made to its end.
type finished struct {
	slug  string
	count int
	at    time.Time
}

// New makes a prover.
func New(c Config) (*Prover, error) {
	self, err := peer.IDFromPrivateKey(c.Key)
	if err != nil {
		return nil, err
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Leased == nil {
		c.Leased = func(peer.ID, market.Hash) ([]device.Device, <-chan struct{}, error) {
			return nil, nil, wire.Refuse(wire.Unknown, "no such lease here")
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	asks, err := lru.New[peer.ID, *rate.Limiter](maxPeers)
	if err != nil {
		return nil, err
	}
	done, err := lru.New[peer.ID, finished](maxPeers)
	if err != nil {
		return nil, err
	}
	p := &Prover{
		Config: c, self: self, busy: map[string]bool{}, calls: map[string]*bounded.Calls{}, given: map[string]*rate.Limiter{}, asking: map[peer.ID]bool{}, asks: asks, finished: done,
		speeds: map[string]speed{}, book: book{},
	}
	p.recall()
	return p, nil
}

// enter counts a challenge of a peer.
func (p *Prover) enter(client peer.ID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.asks.Get(client)
	if !ok {
		l = rate.NewLimiter(rate.Every(Again), PerPeer)
		p.asks.Add(client, l)
	}
	now := p.Now()
	switch {
	case p.asking[client]:
		return wire.Refuse(wire.Busy, "a challenge of yours is going on").After(Again)
	case !l.AllowN(now, 1):
		return wire.Refuse(wire.RateLimited, "more than %d challenges, and one more every %s", PerPeer, Again).After(Again)
	}
	p.asking[client] = true
	return nil
}

func (p *Prover) leave(client peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.asking, client)
}

// occupy takes devices for one challenge, all or none.
func (p *Prover) occupy(devices []device.Device, stranger bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	for _, d := range devices {
		if p.busy[d.ID] {
			return wire.Refuse(wire.Busy, "another challenge is going on").After(time.Minute)
		}
		if g := p.given[d.ID]; stranger && g != nil && g.TokensAt(now) <= 0 {
			return wire.Refuse(wire.Busy, "these devices were challenged a lot lately").After(time.Minute)
		}
	}
	for _, d := range devices {
		p.busy[d.ID] = true
	}
	return nil
}

func (p *Prover) vacate(devices []device.Device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range devices {
		delete(p.busy, d.ID)
	}
}

// callsOf are the calls into a device's driver, the same ones for all challenges of it.
func (p *Prover) callsOf(id string) *bounded.Calls {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls[id] == nil {
		p.calls[id] = bounded.New()
	}
	return p.calls[id]
}

// spend notes for how long a stranger has had devices.
func (p *Prover) spend(devices []device.Device, held time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := int(StrangerTime.Seconds())
	for _, d := range devices {
		if p.given[d.ID] == nil {
			p.given[d.ID] = rate.NewLimiter(StrangerShare, most)
		}
		p.given[d.ID].ReserveN(p.Now(), min(int(math.Ceil(held.Seconds())), most)) // below zero, if need be
	}
}

func (p *Prover) speed(slug string) speed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.speeds[slug]
}
