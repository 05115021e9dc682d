package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	"souk/node/capacity"
	"souk/node/client"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/node/provider"
	wireblob "souk/protocol/blob"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	runs "souk/protocol/run"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// till is souk's client engine and provider, each on a host, blobs and a ledger
// of its own on disk, with executions on a stage instead of real ones.
type till struct {
	client   *client.Engine
	provider *provider.Provider
	sold     *ledger.Ledger // the provider's
	stage    *stage
	skipped  atomic.Int64 // time that the client's clock is ahead by, in ns
	close    func() error
}

const (
	tillNetwork = "bench"
	tillTick    = time.Second
)

// side is what one of the two works on.
type side struct {
	key   crypto.PrivKey
	net   *p2p.Node
	host  host.Host
	books *ledger.Ledger
	blobs *blob.Store
	boot  status.BootID
	dir   string
}

// newSide makes one on a host of its own, which is souk's.
func newSide(ctx context.Context, dir string, opened *parts) (side, error) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		return side{}, err
	}
	n, err := p2p.New(ctx, p2p.Config{Key: key, Network: tillNetwork, Version: "bench", Listen: []string{onTCP}, Loopback: true})
	if err != nil {
		return side{}, err
	}
	opened.add(n.Close)
	s, err := newSideOn(dir, n.Host(), opened)
	s.net = n
	return s, err
}

// newSideOn makes one on a host that runs already.
func newSideOn(dir string, h host.Host, opened *parts) (s side, err error) {
	s = side{key: h.Peerstore().PrivKey(h.ID()), host: h, boot: newBoot(), dir: dir}
	if s.books, err = ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{}); err != nil {
		return s, err
	}
	opened.add(s.books.Close)
	s.blobs, err = blob.Open(filepath.Join(dir, "blobs"), blob.Options{})
	return s, err
}

func newTill(ctx context.Context, dir string, slots int) (_ *till, err error) {
	var opened parts
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	buyer, err := newSide(ctx, filepath.Join(dir, "client"), &opened)
	if err != nil {
		return nil, err
	}
	seller, err := newSide(ctx, filepath.Join(dir, "provider"), &opened)
	if err != nil {
		return nil, err
	}
	t := &till{stage: newStage(tillTick), sold: seller.books}
	if err := t.sell(ctx, seller, buyer.host.ID(), slots, &opened); err != nil {
		return nil, err
	}
	if err := t.buy(ctx, buyer, seller.host, &opened); err != nil {
		return nil, err
	}
	t.close = opened.close
	return t, nil
}

// sell starts the provider. It has known the client for long, which has earned
// the most credit that there is.
func (t *till) sell(ctx context.Context, s side, buyer peer.ID, slots int, opened *parts) error {
	err := s.books.Update(ctx, func(tx *ledger.Tx) error {
		return tx.PutPeer(ledger.Peer{ID: buyer.String(), Good: 1, Receipts: provider.CreditEvery * provider.MaxCreditTicks, Paid: market.NewAmount(1)})
	})
	if err != nil {
		return err
	}
	total := capacity.Total{CPU: slots, Memory: 1 << 40, Disk: 1 << 40, Slots: slots}
	free, err := capacity.New(total, time.Now)
	if err != nil {
		return err
	}
	offers, err := offer.NewCache(16)
	if err != nil {
		return err
	}
	t.provider, err = provider.New(provider.Config{
		Host: s.host, Key: s.key, Network: tillNetwork, Ledger: s.books, Blobs: s.blobs, Executors: []executor.Executor{t.stage}, Capacity: free,
		Offers: offers, Boot: s.boot, Dir: filepath.Join(s.dir, "logs"), Total: total, Speed: 1, Price: market.NewAmount(3_600_000), Tick: tillTick,
		MaxTime: time.Hour, Caps: provider.Caps{Peer: market.NewAmount(1 << 40), Total: market.NewAmount(1 << 40)},
		Addrs: s.host.Addrs, Protect: func(peer.ID, bool) {}, Regular: s.net.MakeRegular, Now: time.Now, Log: slog.New(slog.DiscardHandler), Notify: t.heard,
	})
	if err != nil {
		return err
	}
	opened.add(func() error {
		t.stage.end()
		return t.provider.Close()
	})
	d := wire.NewDispatcher(s.host, s.net, slog.New(slog.DiscardHandler))
	opened.add(func() error { d.Close(); return nil })
	if err := t.provider.Start(ctx); err != nil {
		return err
	}
	offer.Serve(d, tillNetwork, t.provider)
	lease.Serve(d, t.provider.Chain(), t.provider.Address(), t.provider)
	runs.Serve(d, t.provider)
	wireblob.Serve(d, t.provider)
	status.Serve(d, t.provider)
	return nil
}

func (t *till) heard(ev provider.Event) {
	if ev.Kind == provider.Ticked {
		t.stage.receipt(ev.Lease)
	}
}

// one finds the provider and nobody else.
type one struct {
	host host.Host
	at   peer.AddrInfo
}

func (o one) Find(context.Context, []p2p.Key, int) <-chan peer.AddrInfo {
	found := make(chan peer.AddrInfo, 1)
	found <- o.at
	close(found)
	return found
}

func (o one) Connect(ctx context.Context, info peer.AddrInfo) error { return o.host.Connect(ctx, info) }

// buy starts the client, whose clock runs ahead by what was skipped.
func (t *till) buy(ctx context.Context, s side, seller host.Host, opened *parts) (err error) {
	clock := client.SystemClock()
	awake := clock.Awake
	clock.Awake = func() time.Duration { return awake() + time.Duration(t.skipped.Load()) }
	t.client, err = client.New(client.Config{
		Host: s.host, Finder: one{s.host, infoOf(seller)}, Ledger: s.books, Blobs: s.blobs, Key: s.key, Network: tillNetwork, Boot: s.boot, Clock: clock, Supplier: s.net.MakeSupplier,
		Dir: filepath.Join(s.dir, "logs"), Caps: client.Caps{PerPeer: market.NewAmount(1 << 40), InAll: market.NewAmount(1 << 40)},
	})
	if err != nil {
		return err
	}
	opened.add(t.client.Close)
	answerStatus(s.host, t.client, opened)
	return t.client.Start(ctx)
}
