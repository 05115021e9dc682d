package main

import (
	"context"
	"log/slog"
	"sync"

	"souk/node"
	"souk/node/client"
	"souk/node/config"
	"souk/node/control"
	"souk/node/identity"
	"souk/node/prover"
	"souk/node/provider"
)

// openNode starts a node of package node.
func (a *app) openNode(ctx context.Context, c config.Config, provide bool) (Node, error) {
	routeLogs(a.logger(c))
	key, err := identity.Load(keyFile(c.DataDir), a.passphrase)
	if err != nil {
		return nil, fail("bad_key", err)
	}
	cfg := node.Config{
		Dir: c.DataDir, Key: key, Network: c.Network, Version: version, Listen: c.Listen, Bootstrap: c.Bootstrap,
		Loopback: c.Loopback, LocalDiscovery: c.MDNS, AdvertiseEvery: c.Provider.AdvertiseEvery,
		Client:  client.Times{Find: c.Client.Find, Lost: c.Client.LostAfter},
		Caps:    client.Caps{PerPeer: c.Client.CapPeer, InAll: c.Client.CapTotal},
		Metrics: c.Metrics, Log: a.logger(c),
	}
	if c.Region != "any" {
		cfg.Region = c.Region
	}
	if provide {
		cfg.Provide = supply(c)
	}
	n, err := node.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	var once sync.Once
	return &running{Backend: n.Backend(func() { once.Do(func() { close(done) }) }), node: n, done: done, settings: settingsOf(c)}, nil
}

func supply(c config.Config) *node.Provide {
	p, d := c.Provider, c.Docker
	out := &node.Provide{
		Tick: p.Tick, MaxTime: p.MaxTime, CPU: p.CPU, Memory: p.Memory, Disk: p.Disk, Slots: p.Slots,
		SimulateGPU: p.SimulateGPU, Prepay: p.PrepayTicks, Caps: provider.Caps{Peer: p.CapPeer, Total: p.CapTotal}, SandboxPath: p.Sandbox,
		Devices:   node.Devices{Policy: policyOf(c.Devices), Shared: c.Devices.Shared},
		Challenge: prover.Mode(p.Challenge),
		Executors: p.Executors, Docker: node.Docker{
			Host: d.Host, AllowRunc: d.AllowRunc, Runtime: d.Runtime, NoPull: !d.Pull, MaxImage: d.MaxImage, Cache: d.Cache,
			Auth: d.Auth, Registries: d.Registries, Egress: d.Egress, InitPath: d.InitPath, EgressPath: d.EgressPath,
		},
	}
	if p.Price != nil { // the doctor does without
		out.Price = *p.Price
	}
	return out
}

func (a *app) logger(c config.Config) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if a.toJournal() {
		o.ReplaceAttr = withoutTime
	}
	return slog.New(slog.NewTextHandler(a.err, o))
}

// running is a node in this process.
type running struct {
	control.Backend
	node *node.Node
	done chan struct{}

	settings map[string]string
}

// Status is the node's, with how it was set up.
func (r *running) Status(ctx context.Context) (control.Status, error) {
	s, err := r.Backend.Status(ctx)
	s.Settings = r.settings
	return s, err
}

func (r *running) Active() int {
	active := r.node.Client().Active()
	if p := r.node.Provider(); p != nil {
		active += p.Live()
	}
	return active
}

func (r *running) Done() <-chan struct{} { return r.done }
func (r *running) Close() error          { return r.node.Close() }
