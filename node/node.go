// Package node is a souk node: the one place where its parts are wired
// together. A node is always a client, and a provider too where it makes
// offers.
//
// It promises that whoever gets a Node from New holds its data directory
// alone, that everything a former process left there was taken up before New
// returned, and that Close ends every part in the reverse order of its start.
package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"souk/node/blob"
	"souk/node/client"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/node/provider"
	blobs "souk/protocol/blob"
	"souk/protocol/lease"
	"souk/protocol/offer"
	"souk/protocol/run"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// maxOffers is how many peers' offers a node remembers.
const maxOffers = 4096

// Node is a running node.
type Node struct {
	cfg        Config
	boot       status.BootID
	began      time.Time
	ledger     *ledger.Ledger
	blobs      *blob.Store
	net        *p2p.Node
	offers     *offer.Cache
	dispatcher *wire.Dispatcher
	client     *client.Engine
	supply     *supply // nil: makes no offers
	closers    []func() error
}

// New starts a node. On an error nothing of it stays.
func New(ctx context.Context, cfg Config) (n *Node, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	n = &Node{cfg: cfg, began: time.Now()}
	_, _ = rand.Read(n.boot[:]) // never fails
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
			n = nil
		}
	}()
	if err := n.openStores(); err != nil {
		return n, err
	}
	if err := n.join(ctx); err != nil {
		return n, err
	}
	if err := n.buy(); err != nil {
		return n, err
	}
	if cfg.Provide != nil {
		if err := n.sell(ctx); err != nil {
			return n, err
		}
	}
	return n, n.open(ctx)
}

// openStores takes the data directory. The ledger comes first: it refuses a
// directory that another process holds.
func (n *Node) openStores() (err error) {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if n.ledger, err = ledger.Open(ledgerDir(n.cfg.Dir), ledger.Options{Log: n.cfg.Log}); err != nil {
		return err
	}
	n.onClose(n.ledger.Close)
	if n.blobs, err = blob.Open(n.path("blobs"), blob.Options{}); err != nil {
		return err
	}
	n.offers, err = offer.NewCache(maxOffers)
	return err
}

// join goes on the network. Nothing is served yet.
func (n *Node) join(ctx context.Context) (err error) {
	n.net, err = p2p.New(ctx, p2p.Config{
		Key: n.cfg.Key, Network: n.cfg.Network, Version: n.cfg.Version, Listen: n.cfg.Listen, Bootstrap: n.cfg.Bootstrap,
		Loopback: n.cfg.Loopback, LocalDiscovery: n.cfg.LocalDiscovery, AdvertiseEvery: n.cfg.AdvertiseEvery, Log: n.cfg.Log,
	})
	if err != nil {
		return err
	}
	n.onClose(n.net.Close)
	n.dispatcher = wire.NewDispatcher(n.net.Host(), n.net, n.cfg.Log)
	return nil
}

func (n *Node) buy() (err error) {
	n.client, err = client.New(client.Config{
		Host: n.net.Host(), Finder: n.net, Ledger: n.ledger, Blobs: n.blobs, Key: n.cfg.Key, Network: n.cfg.Network, Boot: n.boot,
		Dir: n.path("logs"), Caps: n.cfg.Caps, Times: n.cfg.Client, Offers: n.offers, Protect: n.net.Protect, Unprotect: n.net.Unprotect, Supplier: n.net.MakeSupplier, Block: n.net.Block, Log: n.cfg.Log,
	})
	if err != nil {
		return err
	}
	n.onClose(n.client.Close)
	return nil
}

// open lets the others in, then takes up what a former process left.
func (n *Node) open(ctx context.Context) error {
	n.onClose(func() error { n.dispatcher.Close(); return nil })
	status.Serve(n.dispatcher, &holder{n})
	if s := n.supply; s != nil {
		if err := s.provider.Start(ctx); err != nil {
			return err
		}
		offer.Serve(n.dispatcher, n.cfg.Network, s.provider)
		lease.Serve(n.dispatcher, s.provider.Chain(), s.provider.Address(), s.provider)
		run.Serve(n.dispatcher, s.provider)
		blobs.Serve(n.dispatcher, s.provider)
		s.answerChallenges(n)
		s.advertise(n)
	}
	if n.cfg.Metrics != "" {
		if err := n.serveMetrics(n.cfg.Metrics); err != nil {
			return err
		}
	}
	return n.client.Start(ctx)
}

// Close ends the node. Executions of its leases have a few seconds in which
// another process can take them up.
func (n *Node) Close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}

func (n *Node) onClose(f func() error) { n.closers = append(n.closers, f) }

// Held tells whether the node of another process has a data directory. A node
// that ends answers no more before it lets go of it.
func Held(dir string) (bool, error) { return ledger.Held(ledgerDir(dir)) }

func ledgerDir(dir string) string { return filepath.Join(dir, "ledger") }

func (n *Node) path(name string) string    { return filepath.Join(n.cfg.Dir, name) }
func (n *Node) addrs() []ma.Multiaddr      { return n.net.Host().Addrs() }
func (n *Node) protect(p peer.ID, on bool) { protect(n.net, p, on) }

// ID is the node's peer ID.
func (n *Node) ID() peer.ID { return n.net.ID() }

// Net is the node's place on the network.
func (n *Node) Net() *p2p.Node { return n.net }

// Client is the node's client role.
func (n *Node) Client() *client.Engine { return n.client }

// Provider is the node's provider role; nil where it makes no offers.
func (n *Node) Provider() *provider.Provider {
	if n.supply == nil {
		return nil
	}
	return n.supply.provider
}
