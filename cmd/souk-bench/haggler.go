package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"souk/node/blob"
	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/node/provider"
	"souk/protocol/offer"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// haggler is souk's own client engine on souk's own host, blobs and ledger in
// this process, trading with the provider of a rig. Its jobs stand still where
// a negotiation begins until they are let go, and after it: no process starts.
type haggler struct {
	rig    *rig
	engine *client.Engine
	gate   gate
	still  *atomic.Bool // its jobs end where they are leased
	close  func() error
}

// gate finds nobody, so that a search ends when the gate lets it: the engine
// then goes on with the offers that it knows.
type gate struct {
	*p2p.Node
	open chan struct{} // one value for each job
}

// Find ends when the job may go on. Wider searches of the same job don't wait.
func (g gate) Find(ctx context.Context, keys []p2p.Key, _ int) <-chan peer.AddrInfo {
	found := make(chan peer.AddrInfo)
	if !slices.ContainsFunc(keys, func(k p2p.Key) bool { return strings.Contains(k.String(), "/all/") }) {
		close(found)
		return found
	}
	go func() { // ends with ctx at the latest
		defer close(found)
		select {
		case <-g.open:
		case <-ctx.Done():
		}
	}()
	return found
}

// unattached is a host that attaches to no lease once its owner stands still, nor
// asks for offers: those of hundreds of jobs at once would hold up the first negotiations.
type unattached struct {
	host.Host
	still *atomic.Bool
}

func (u unattached) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	switch {
	case !u.still.Load():
	case slices.Contains(ids, wire.RunProtocol):
		<-ctx.Done()
		return nil, ctx.Err()
	case slices.Contains(ids, wire.OfferProtocol):
		return nil, errors.New("the offer is known")
	}
	return u.Host.NewStream(ctx, p, ids...)
}

// parts are what is closed in the reverse order of its start.
type parts []func() error

func (p *parts) add(close func() error) { *p = append(*p, close) }

func (p *parts) close() error {
	var errs []error
	for _, close := range slices.Backward(*p) {
		errs = append(errs, close())
	}
	*p = nil
	return errors.Join(errs...)
}

func newHaggler(ctx context.Context, r *rig) (_ *haggler, err error) {
	var opened parts
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	dir := filepath.Join(r.dir, "haggler")
	books, err := ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{})
	if err != nil {
		return nil, err
	}
	opened.add(books.Close)
	blobs, err := blob.Open(filepath.Join(dir, "blobs"), blob.Options{})
	if err != nil {
		return nil, err
	}
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	net, err := p2p.New(ctx, p2p.Config{
		Key: key, Network: r.market.Network, Version: "bench", Listen: []string{onTCP}, Bootstrap: []string{r.bootstrap()}, Loopback: true,
	})
	if err != nil {
		return nil, err
	}
	opened.add(net.Close)
	offers, err := knownOffer(ctx, r, net)
	if err != nil {
		return nil, err
	}
	h := &haggler{rig: r, gate: gate{net, make(chan struct{})}, still: &atomic.Bool{}, close: opened.close}
	h.engine, err = client.New(client.Config{
		Host: unattached{net.Host(), h.still}, Finder: h.gate, Ledger: books, Blobs: blobs, Key: key, Network: r.market.Network, Offers: offers,
		Dir: filepath.Join(dir, "logs"), Protect: net.Protect, Unprotect: net.Unprotect, Supplier: net.MakeSupplier, Boot: newBoot(),
		Times: client.Times{Find: time.Hour, Lost: time.Hour, Recent: -1},
	})
	if err != nil {
		return nil, err
	}
	opened.add(h.engine.Close)
	answerStatus(net.Host(), h.engine, &opened)
	h.close = opened.close
	return h, h.engine.Start(ctx)
}

func newBoot() (b status.BootID) {
	_, _ = rand.Read(b[:]) // never fails
	return b
}

// answerStatus lets a client's providers ask what it holds of their channels.
func answerStatus(h host.Host, e *client.Engine, opened *parts) {
	d := wire.NewDispatcher(h, wire.Strangers{}, slog.New(slog.DiscardHandler))
	opened.add(func() error { d.Close(); return nil })
	status.Serve(d, e)
}

// knownOffer connects to the provider and asks for its offer, as a search does.
func knownOffer(ctx context.Context, r *rig, net *p2p.Node) (*offer.Cache, error) {
	at, err := r.providerInfo()
	if err != nil {
		return nil, err
	}
	if err := net.Connect(ctx, at); err != nil {
		return nil, err
	}
	offers, sealed, err := offer.Ask(ctx, net.Host(), at.ID, r.market.Network, 1)
	if err != nil {
		return nil, err
	}
	known, err := offer.NewCache(16)
	for i, o := range offers {
		known.Add(o, sealed[i])
	}
	return known, err
}

// submit places a job, which then stands before its negotiation.
func (h *haggler) submit(ctx context.Context, spec jobfile.Spec) (<-chan client.Event, error) {
	id, err := h.engine.Submit(ctx, spec, "")
	if err != nil {
		return nil, err
	}
	return h.engine.Watch(ctx, id, 0)
}

// earn runs as many jobs as make a client a regular, one after the other, and
// has the later ones stand still.
func (h *haggler) earn(ctx context.Context, spec jobfile.Spec) error {
	for range provider.CreditEvery {
		events, err := h.submit(ctx, spec)
		if err != nil {
			return err
		}
		if err := h.release(ctx); err != nil {
			return err
		}
		for ev := range events {
			if ev.Kind == client.Finished && ev.Source != client.SourceJob {
				return fmt.Errorf("%s: %s", ev.Code, ev.Text)
			}
		}
	}
	h.still.Store(true)
	return nil
}

// release lets one job go on, whichever it is.
func (h *haggler) release(ctx context.Context) error {
	select {
	case h.gate.open <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// agreed waits for the end of a negotiation: when the lease bore both
// signatures. What comes after it is thrown away, until the engine ends.
func agreed(events <-chan client.Event) (time.Time, error) {
	for ev := range events {
		switch ev.Kind {
		case client.Leased:
			go func() {
				for range events {
				}
			}()
			return ev.At, nil
		case client.Finished:
			return time.Time{}, fmt.Errorf("%s: %s", ev.Code, ev.Text)
		}
	}
	return time.Time{}, errors.New("the engine ended")
}
