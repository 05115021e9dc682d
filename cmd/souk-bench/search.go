package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	kadpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	ma "github.com/multiformats/go-multiaddr"

	"souk/node/client"
	"souk/node/p2p"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// searches are what finding providers costs the DHT.
func searches() []figure {
	var all []figure
	for _, n := range []int{10, 100, 1000} {
		name := fmt.Sprintf("dht-%d", n)
		all = append(all, figure{
			name:  name,
			about: fmt.Sprintf("DHT messages of one search among %d nodes, 8 of them providers, simulated network; against one FindProviders; ≤ 2", n),
			run:   func(ctx context.Context, s *session) ([]result, error) { return search(ctx, s, name, n) },
		})
	}
	return all
}

const (
	searchProviders = 8 // as many answers as end a search
	searchesEach    = 10
)

// swarm is nodes with real DHTs on a simulated network, which count the
// questions that they are asked.
type swarm struct {
	mock  mocknet.Mocknet
	hosts []host.Host
	dhts  []*dht.IpfsDHT
	asked atomic.Int64
	parts
}

func search(ctx context.Context, s *session, name string, n int) (_ []result, err error) {
	w := &swarm{mock: mocknet.New()}
	w.add(w.mock.Close)
	defer func() { err = errors.Join(err, w.close()) }()
	for range n {
		if err := w.join(ctx); err != nil {
			return nil, err
		}
	}
	e, err := w.searcher(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.provide(ctx); err != nil {
		return nil, err
	}
	key, err := p2p.AllKey(tillNetwork, p2p.Place{})
	if err != nil {
		return nil, err
	}
	times := s.times(searchesEach)
	ours, err := w.count(ctx, times, func(int) error {
		found, err := e.Offers(ctx, client.Need{Executor: market.KindWASM})
		if err == nil && len(found) < searchProviders {
			err = fmt.Errorf("%d of %d providers were found", len(found), searchProviders)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	one, err := w.count(ctx, times, func(i int) error {
		_, err := w.dhts[len(w.dhts)-1-i%len(w.dhts)].FindProviders(ctx, key.CID())
		return err
	})
	if err != nil {
		return nil, err
	}
	r := against(name, ours, "messages", one, "messages", goal{most: 2})
	r.Note = fmt.Sprintf("means of %d searches of one client; asking for offers isn't counted, which isn't the DHT's", times)
	return []result{r}, nil
}

// join adds a node that knows of the others what its routing table has room for.
func (w *swarm) join(context.Context) error {
	h, err := w.host()
	if err != nil {
		return err
	}
	d, err := dht.New(h,
		dht.ProtocolPrefix("/souk/"+tillNetwork), dht.Mode(dht.ModeServer), dht.DisableValues(), dht.DisableAutoRefresh(),
		dht.OnRequestHook(func(context.Context, network.Stream, *kadpb.Message) { w.asked.Add(1) }),
	)
	if err != nil {
		return err
	}
	w.add(d.Close)
	for i, other := range w.dhts {
		if err := acquaint(d, w.hosts[i]); err != nil {
			return err
		}
		if err := acquaint(other, h); err != nil {
			return err
		}
	}
	w.hosts, w.dhts = append(w.hosts, h), append(w.dhts, d)
	return nil
}

// acquaint tells a DHT of a node, if it has room.
func acquaint(d *dht.IpfsDHT, h host.Host) error {
	added, err := d.RoutingTable().TryAddPeer(h.ID(), true, false)
	if added {
		d.Host().Peerstore().AddAddrs(h.ID(), h.Addrs(), peerstore.PermanentAddrTTL)
	}
	if err != nil && !added {
		return nil //nolint:nilerr // its bucket is full
	}
	return err
}

// host makes a host that is linked with all others.
func (w *swarm) host() (host.Host, error) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	all := w.mock.Peers()
	a, err := ma.NewMultiaddr(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", 10_000+len(all)))
	if err != nil {
		return nil, err
	}
	h, err := w.mock.AddPeer(key, a)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if _, err := w.mock.LinkPeers(h.ID(), p); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// provide has some of the nodes make offers, and advertise as providers without a GPU do.
func (w *swarm) provide(ctx context.Context) error {
	for i, h := range w.hosts[:searchProviders] {
		d := wire.NewDispatcher(h, wire.Strangers{}, slog.New(slog.DiscardHandler))
		w.add(func() error { d.Close(); return nil })
		sealed, err := offerOf(h)
		if err != nil {
			return err
		}
		offer.Serve(d, tillNetwork, sealed)
		keys, err := p2p.Stand{Network: tillNetwork}.Keys(h.ID(), time.Now())
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := w.dhts[i].Provide(ctx, k.CID(), true); err != nil {
				return err
			}
		}
	}
	return nil
}

// sealedOffer is an offer that doesn't change.
type sealedOffer []byte

// SealedOffers implements the protocol's holder.
func (o sealedOffer) SealedOffers(context.Context, int) ([][]byte, error) { return [][]byte{o}, nil }

func offerOf(h host.Host) (sealedOffer, error) {
	const much = 1 << 40
	return offer.Seal(offer.Offer{
		Network: tillNetwork, Peer: h.ID(), Sequence: 1, ExpiresAt: time.Now().Add(offer.Validity), Addrs: h.Addrs(),
		CPU: 8, Memory: much, Disk: much, CPUTotal: 8, MemoryTotal: much, DiskTotal: much, Executors: []string{market.KindWASM}, Speed: 1,
		PricePerHour: market.NewAmount(1), Settlement: "none", Chain: market.NoChain(tillNetwork), Tick: time.Minute, MaxTime: time.Hour,
	}, h.Peerstore().PrivKey(h.ID()))
}

// searcher is souk's client engine on souk's own node, which has joined by one of the others.
func (w *swarm) searcher(ctx context.Context) (*client.Engine, error) {
	dir, remove, err := scratch()
	if err != nil {
		return nil, err
	}
	w.add(remove)
	h, err := w.host()
	if err != nil {
		return nil, err
	}
	by := w.hosts[len(w.hosts)-1]
	net, err := p2p.New(ctx, p2p.Config{
		Key: h.Peerstore().PrivKey(h.ID()), Network: tillNetwork, Version: "bench", Loopback: true, Host: h,
		Bootstrap: []string{fmt.Sprintf("%s/p2p/%s", by.Addrs()[0], by.ID())},
	})
	if err != nil {
		return nil, err
	}
	w.add(net.Close)
	s, err := newSideOn(filepath.Join(dir, "client"), h, &w.parts)
	if err != nil {
		return nil, err
	}
	e, err := client.New(client.Config{
		Host: h, Finder: net, Ledger: s.books, Blobs: s.blobs, Key: s.key, Network: tillNetwork, Boot: s.boot, Dir: filepath.Join(s.dir, "logs"),
	})
	if err != nil {
		return nil, err
	}
	w.add(e.Close)
	return e, w.quiet(ctx)
}

// quiet waits until nobody asks anything any more.
func (w *swarm) quiet(ctx context.Context) error {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for last := int64(-1); last != w.asked.Load(); {
		last = w.asked.Load()
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// count is how many questions doing something takes, on average.
func (w *swarm) count(ctx context.Context, n int, do func(i int) error) (float64, error) {
	var sum int64
	for i := range n {
		if err := w.quiet(ctx); err != nil {
			return 0, err
		}
		before := w.asked.Load()
		if err := do(i); err != nil {
			return 0, err
		}
		if err := w.quiet(ctx); err != nil {
			return 0, err
		}
		sum += w.asked.Load() - before
	}
	return float64(sum) / float64(n), nil
}
