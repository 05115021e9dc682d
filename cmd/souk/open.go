package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"souk/node"
	"souk/node/client"
	"souk/node/config"
	"souk/node/control"
	"souk/node/identity"
	"souk/node/provider"
)

// openNode starts the node that a config describes.
func openNode(ctx context.Context, cfg config.Config, provide bool) (Node, error) {
	key, err := identity.Load(keyFile(cfg.DataDir), passphraseFromEnv)
	if err != nil {
		return nil, err
	}
	c := node.Config{
		Dir: cfg.DataDir, Key: key, Network: cfg.Network, Version: version, Listen: cfg.Listen, Bootstrap: cfg.Bootstrap,
		Loopback: cfg.Loopback, LocalDiscovery: cfg.MDNS && !cfg.Loopback, AdvertiseEvery: cfg.Provider.AdvertiseEvery, Region: region(cfg.Region),
		Client: client.Times{Lost: cfg.Client.LostAfter, Find: cfg.Client.Find},
		Caps:   client.Caps{PerPeer: cfg.Client.CapPeer, InAll: cfg.Client.CapTotal},
		Log:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: cfg.LogLevel})),
	}
	if provide {
		c.Provide = supply(cfg.Provider)
	}
	n, err := node.New(ctx, c)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	var once sync.Once
	return &running{Backend: n.Backend(func() { once.Do(func() { close(done) }) }), node: n, done: done}, nil
}

func supply(p config.Provider) *node.Provide {
	out := &node.Provide{
		Tick: p.Tick, MaxTime: p.MaxTime, CPU: p.CPU, Memory: p.Memory, Disk: p.Disk, Slots: p.Slots, SimulateGPU: p.SimulateGPU,
		Prepay: p.PrepayTicks, Caps: provider.Caps{Peer: p.CapPeer, Total: p.CapTotal}, SandboxPath: p.Sandbox,
	}
	if p.Price != nil {
		out.Price = *p.Price
	}
	return out
}

// region is what an offer says: nothing where the owner named none.
func region(s string) string {
	if s == "any" {
		return ""
	}
	return s
}

func passphraseFromEnv() (string, error) {
	if p, ok := os.LookupEnv(config.PassphraseEnv); ok {
		return p, nil
	}
	return "", fmt.Errorf("put the passphrase into %s", config.PassphraseEnv)
}

// running is a node with the way to ask it to end.
type running struct {
	control.Backend
	node *node.Node
	done chan struct{}
}

func (r *running) Active() int {
	n := r.node.Client().Active()
	if p := r.node.Provider(); p != nil {
		n += p.Live()
	}
	return n
}

func (r *running) Done() <-chan struct{} { return r.done }
func (r *running) Close() error          { return r.node.Close() }
