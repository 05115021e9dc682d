package testnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"souk/internal/money"
	"souk/node"
	"souk/node/client"
	"souk/node/control"
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
	state     State
	servers   []*control.Server
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
// Close ends them, and Remove takes away what they wrote.
func NewLocal(ctx context.Context, o LocalOptions) (l *Local, err error) {
	l = &Local{Network: "testnet-local", state: State{Dir: o.Dir, Network: "testnet-local", Since: time.Now()}}
	if err := l.state.claim(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close(), l.Remove())
			l = nil
		}
	}()
	if l.bootstrap, err = o.open(ctx, l, Node{Name: "bootstrap", Role: Bootstrap}, nil); err != nil {
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
			Executors: []string{market.KindWASM}, // containers would outlive this process
		}
		if g.gpu != "" {
			p.SimulateGPU = []string{g.gpu}
		}
		n, err := o.open(ctx, l, Node{Name: fmt.Sprintf("provider-%d", i+1), Role: Provider, GPU: g.gpu, Price: g.price}, p)
		if err != nil {
			return l, err
		}
		l.Providers = append(l.Providers, n)
	}
	for i := range o.Clients {
		n, err := o.open(ctx, l, Node{Name: fmt.Sprintf("client-%d", i+1), Role: Client}, nil)
		if err != nil {
			return l, err
		}
		l.Clients = append(l.Clients, n)
	}
	return l, l.await(ctx)
}

func (o *LocalOptions) open(ctx context.Context, l *Local, row Node, p *node.Provide) (*node.Node, error) {
	row.Dir, row.PID, row.Shared = filepath.Join(o.Dir, row.Name), os.Getpid(), true
	if err := os.Mkdir(row.Dir, 0o700); err != nil {
		return nil, err
	}
	l.state.Nodes = append(l.state.Nodes, row)
	if err := l.state.save(); err != nil {
		return nil, err
	}
	key, err := identity.Create(filepath.Join(row.Dir, identity.FileName), "")
	if err != nil {
		return nil, err
	}
	c := node.Config{
		Dir: row.Dir, Key: key, Network: l.Network, Version: "testnet", Loopback: true, Listen: []string{loopback}, Provide: p,
		Client: client.Times{Lost: 12 * time.Second}, Log: o.Log,
	}
	if l.bootstrap != nil {
		c.Bootstrap = []string{l.bootstrap.Net().Addrs()[0].String()}
	}
	n, err := node.New(ctx, c)
	if err != nil {
		return nil, err
	}
	row.Peer, row.Addr, row.Up = n.ID().String(), n.Net().Addrs()[0].String(), true
	l.state.Nodes[len(l.state.Nodes)-1] = row
	return n, nil
}

// Serve lets commands talk to the nodes, as to those of a testnet of
// processes, until Close. shutdown is called when one of them is asked to end.
func (l *Local) Serve(shutdown func(), log *slog.Logger) (*State, error) {
	for i, n := range l.nodes() {
		s, err := control.Serve(l.state.Nodes[i].Dir, n.Backend(shutdown), log)
		if err != nil {
			return nil, err
		}
		l.servers = append(l.servers, s)
	}
	return &l.state, l.state.save()
}

// nodes are all nodes, in the order of their start.
func (l *Local) nodes() (all []*node.Node) {
	if l.bootstrap != nil {
		all = append(all, l.bootstrap)
	}
	return append(append(all, l.Providers...), l.Clients...)
}

func (l *Local) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, foundWithin)
	defer cancel()
	for _, c := range l.Clients {
		for {
			offers, err := c.Client().Offers(ctx, client.Need{AllowSimulated: true, All: true})
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
	for _, s := range l.servers {
		errs = append(errs, s.Close())
	}
	l.servers = nil
	for _, n := range slices.Backward(l.nodes()) {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// Remove takes away the folders of nodes that have ended, and the testnet's if
// nothing else is in it.
func (l *Local) Remove() error { return l.state.remove(context.Background()) }
