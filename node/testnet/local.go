package testnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"souk/internal/money"
	"souk/node"
	"souk/node/client"
	"souk/node/identity"
	"souk/protocol/market"
)

// Local is a testnet whose nodes all run in this process. Their jobs are real
// processes all the same. It is for tests: a crash can't be tried on it.
type Local struct {
	Network   string
	Providers []*node.Node
	Clients   []*node.Node

	bootstrap *node.Node
}

// LocalOptions say what NewLocal starts.
type LocalOptions struct {
	Dir       string
	Sandbox   string // path of souk-sandbox
	Providers int
	Clients   int
	Tick      time.Duration
	Log       *slog.Logger
}

// NewLocal starts the nodes and waits until each client finds each provider.
// Close ends them; the folder is the caller's.
func NewLocal(ctx context.Context, o LocalOptions) (l *Local, err error) {
	l = &Local{Network: "testnet-local"}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
			l = nil
		}
	}()
	if l.bootstrap, err = o.open(ctx, l, "bootstrap", nil); err != nil {
		return l, err
	}
	for i := range o.Providers {
		g := goods[i%len(goods)]
		price, err := money.ParsePrice(g.price)
		if err != nil {
			return l, err
		}
		p := &node.Provide{
			Price: market.NewAmount(price), Tick: o.Tick, CPU: 2, Slots: 4, Memory: 2 << 30, Disk: 2 << 30, SandboxPath: o.Sandbox, Spares: 1,
		}
		if g.gpu != "" {
			p.SimulateGPU = []string{g.gpu}
		}
		n, err := o.open(ctx, l, fmt.Sprintf("provider-%d", i+1), p)
		if err != nil {
			return l, err
		}
		l.Providers = append(l.Providers, n)
	}
	for i := range o.Clients {
		n, err := o.open(ctx, l, fmt.Sprintf("client-%d", i+1), nil)
		if err != nil {
			return l, err
		}
		l.Clients = append(l.Clients, n)
	}
	return l, l.await(ctx)
}

func (o *LocalOptions) open(ctx context.Context, l *Local, name string, p *node.Provide) (*node.Node, error) {
	dir := filepath.Join(o.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := identity.Create(filepath.Join(dir, identity.FileName), "")
	if err != nil {
		return nil, err
	}
	c := node.Config{
		Dir: dir, Key: key, Network: l.Network, Version: "testnet", Loopback: true, Listen: []string{loopback}, Provide: p,
		Client: client.Times{Lost: 12 * time.Second}, Log: o.Log,
	}
	if l.bootstrap != nil {
		c.Bootstrap = []string{l.bootstrap.Net().Addrs()[0].String()}
	}
	return node.New(ctx, c)
}

func (l *Local) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, foundWithin)
	defer cancel()
	for _, c := range l.Clients {
		for {
			offers, err := c.Client().Offers(ctx, client.Need{AllowSimulated: true})
			if err == nil && len(offers) >= len(l.Providers) {
				break
			}
			if wait(ctx, lookEvery) != nil {
				return errors.Join(fmt.Errorf("a client finds %d of %d providers", len(offers), len(l.Providers)), err)
			}
		}
	}
	return nil
}

// Close ends all nodes, clients first.
func (l *Local) Close() error {
	var errs []error
	nodes := append(append([]*node.Node{}, l.Clients...), l.Providers...)
	if l.bootstrap != nil {
		nodes = append(nodes, l.bootstrap)
	}
	for _, n := range nodes {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}
