package client

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	"souk/node/books"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/status"
)

// Finder looks for providers; *p2p.Node is one.
type Finder interface {
	// Find yields the peers that advertise under any of the keys until the
	// search or ctx ends, and then closes the channel.
	Find(ctx context.Context, keys []p2p.Key, limit int) <-chan peer.AddrInfo
	// Connect connects to a peer, looking for its addresses where none is known.
	Connect(ctx context.Context, info peer.AddrInfo) error
}

// Ledger is the node's book; *ledger.Ledger is one.
type Ledger interface {
	Update(ctx context.Context, fn func(*ledger.Tx) error) error
	View(ctx context.Context, fn func(*ledger.Tx) error) error
	Peek(ctx context.Context, fn func(*ledger.Tx) error) error
}

// Caps bounds, in money, what dishonest providers could keep at most.
type Caps = books.Caps

const defaultLost = time.Minute

// DefaultCaps is 5 with one provider and 50 in all, in a token of 6 decimals.
func DefaultCaps() Caps {
	return Caps{PerPeer: market.NewAmount(5_000_000), InAll: market.NewAmount(50_000_000)}
}

// Times are the engine's patience. Zero fields take the default.
type Times struct {
	// Find bounds the search for providers. Default 8 s.
	Find time.Duration
	// Alone is how long a search looks under the likeliest key alone. Default 1 s.
	Alone time.Duration
	// Recent is how long a search counts for other jobs with the same need, that haven't searched yet.
	// Default 10 s; negative: not at all.
	Recent time.Duration
	// Lost is how long a provider may be silent, or a transfer stand still,
	// before its lease counts as lost. Default 60 s; it must be longer than
	// one redial (wire.OpenTimeout) to be of use.
	Lost time.Duration
	// Redial is the first pause before a peer is dialled again; it doubles up to 5 s. Default 250 ms.
	Redial time.Duration
	// Settle is how long the last countersignature may wait for its acknowledgement. Default 10 s.
	Settle time.Duration
	// Busy is the pause before providers that were all busy are asked again. Default 5 s.
	Busy time.Duration
	// Keep is how long outputs and inputs stay pinned. Default 30 days.
	Keep time.Duration
}

// Config is what an Engine runs on. Host, Finder, Ledger, Blobs, Key, Network,
// Boot and Dir are required.
type Config struct {
	Host    host.Host
	Finder  Finder
	Ledger  Ledger
	Blobs   *blob.Store
	Key     crypto.PrivKey // secp256k1
	Network string
	Token   market.Address // zero: the unit of account
	Boot    status.BootID
	Clock   Clock  // zero: the machine's
	Dir     string // where the logs of executions are
	Caps    Caps   // zero: DefaultCaps
	Times   Times
	// Challenge is how devices are challenged; zero: challenge.Options' defaults.
	Challenge challenge.Options
	// Offers is the cache shared with the provider role; nil makes one.
	Offers *offer.Cache
	// Protect keeps the connection to a peer open, Unprotect ends that; nil does nothing.
	Protect   func(p peer.ID, tag string)
	Unprotect func(p peer.ID, tag string) bool
	// Block shuts out a peer whose answers are malformed again and again; nil does nothing.
	Block func(p peer.ID, d time.Duration)
	// Supplier is told of a provider that is about to be asked for a quote; nil does nothing.
	Supplier func(p peer.ID)
	Log      *slog.Logger
}

const offerCacheSize = 4096

func (c *Config) settle() error {
	if c.Host == nil || c.Finder == nil || c.Ledger == nil || c.Blobs == nil || c.Key == nil || c.Dir == "" {
		return errors.New("client engine: host, finder, ledger, blobs, key and dir are required")
	}
	if !market.ValidNetwork(c.Network) {
		return errors.New("client engine: the network's name is not 1 to 32 of a-z, 0-9 and -")
	}
	if c.Clock.Now == nil || c.Clock.Mono == nil {
		c.Clock = SystemClock()
	}
	if c.Clock.Awake == nil {
		c.Clock.Awake = c.Clock.Mono
	}
	if c.Caps == (Caps{}) {
		c.Caps = DefaultCaps()
	}
	if c.Protect == nil {
		c.Protect = func(peer.ID, string) {}
	}
	if c.Unprotect == nil {
		c.Unprotect = func(peer.ID, string) bool { return false }
	}
	if c.Block == nil {
		c.Block = func(peer.ID, time.Duration) {}
	}
	if c.Supplier == nil {
		c.Supplier = func(peer.ID) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Times.setDefaults()
	var err error
	if c.Offers == nil {
		c.Offers, err = offer.NewCache(offerCacheSize)
	}
	return err
}

func (t *Times) setDefaults() {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Find, 8 * time.Second},
		{&t.Recent, 10 * time.Second},
		{&t.Alone, time.Second},
		{&t.Lost, defaultLost},
		{&t.Redial, 250 * time.Millisecond},
		{&t.Settle, 10 * time.Second},
		{&t.Busy, 5 * time.Second},
		{&t.Keep, 30 * 24 * time.Hour},
	} {
		if *f.field == 0 || *f.field < 0 && f.field != &t.Recent {
			*f.field = f.value
		}
	}
}
