package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	"souk/node/capacity"
	"souk/node/device"
	"souk/node/executor"
	"souk/node/executor/wasm"
	"souk/node/p2p"
	"souk/node/prover"
	"souk/node/provider"
	"souk/protocol/market"
	"souk/protocol/offer"
)

// supply is what a node has as a provider.
type supply struct {
	machine   device.Machine
	stock     *stock
	wasm      *wasm.Executor
	executors []executor.Executor // those that offers may name
	auto      bool                // Docker isn't asked for by name
	noImages  error               // why Docker isn't one of them, though it may be
	provider  *provider.Provider
	prover    *prover.Prover
	feed      *feed
	asked     market.Amount // per hour, before it was rounded to a tick
}

const (
	defaultSlotsPerCPU = 4
	// Of what the machine has, a provider that names no figure leases out all
	// cores, and this much of memory and free disk.
	leasedShare = 0.8
)

func (n *Node) sell(ctx context.Context) (err error) {
	c := *n.cfg.Provide
	c.setDefaults()
	s := &supply{feed: newFeed(), asked: c.Price}
	n.supply = s
	if s.machine, err = device.ReadMachine(n.cfg.Dir); err != nil {
		return fmt.Errorf("read what this machine has: %w", err)
	}
	if _, err = device.ParseSimulated(c.SimulateGPU...); err != nil { // before anything is started
		return err
	}
	total, err := s.total(c)
	if err != nil {
		return err
	}
	if err := s.equip(ctx, n, c); err != nil {
		return err
	}
	if s.stock, err = newStock(ctx, c.Devices, c.SimulateGPU, s.passing(), n.cfg.Log); err != nil {
		return err
	}
	n.onClose(s.stock.inventory.Close)
	total.Devices = s.stock.leased
	free, err := capacity.New(total, time.Now)
	if err != nil {
		return err
	}
	speed, err := n.measure(ctx, s.wasm)
	if err != nil {
		return fmt.Errorf("measure this machine's speed: %w", err)
	}
	if err := n.prove(s, free, c.Challenge); err != nil {
		return err
	}
	s.provider, err = provider.New(provider.Config{
		Host: n.net.Host(), Key: n.cfg.Key, Network: n.cfg.Network, Ledger: n.ledger, Blobs: n.blobs, Executors: s.executors, Platform: platform(), Egress: c.Docker.Egress, Capacity: free,
		Offers: n.offers, Neighbours: n.neighbours, Boot: n.boot, Dir: n.path("provider-logs"), Total: total, Speed: speed, Region: n.cfg.Region, Price: c.Price, Tick: c.Tick,
		MaxTime: c.MaxTime, Prepay: c.Prepay, Caps: c.Caps, Addrs: n.addrs, Protect: n.protect, Regular: n.net.MakeRegular, Now: time.Now, Log: n.cfg.Log, Notify: s.feed.tell,
		Use: s.stock.use, Fault: s.stock.fault,
		Measured: s.prover.Measured, Challenge: offer.Challenge(s.prover.Mode),
	})
	if err != nil {
		return err
	}
	n.onClose(s.provider.Close)
	s.stock.serve(free, s.provider)
	n.onClose(s.stock.watch())
	return nil
}

func (s *supply) total(c Provide) (capacity.Total, error) {
	t := capacity.Total{CPU: c.CPU, Memory: c.Memory, Disk: c.Disk, Slots: c.Slots, Shares: c.Devices.Shared}
	if t.CPU == 0 {
		t.CPU = s.machine.CPUs
	}
	if t.Memory == 0 {
		t.Memory = int64(float64(s.machine.Memory) * leasedShare)
	}
	if t.Disk == 0 {
		t.Disk = int64(float64(s.machine.DiskFree) * leasedShare)
	}
	if t.Slots == 0 {
		t.Slots = defaultSlotsPerCPU * t.CPU
	}
	switch {
	case t.Memory > s.machine.Memory:
		return t, fmt.Errorf("provider.memory is %d bytes, this machine has %d", t.Memory, s.machine.Memory)
	case t.Disk > s.machine.DiskFree:
		return t, fmt.Errorf("provider.disk is %d bytes, %d are free on the data directory's disk", t.Disk, s.machine.DiskFree)
	}
	return t, nil
}

// neighbours are providers of the same network, nearest first as the DHT has
// them; the provider hands their offers on.
func (n *Node) neighbours(ctx context.Context) <-chan peer.AddrInfo {
	k, err := p2p.AllKey(n.cfg.Network, p2p.Place{})
	if err != nil {
		none := make(chan peer.AddrInfo)
		close(none)
		return none
	}
	return n.net.Find(ctx, []p2p.Key{k}, maxNeighbours)
}

// maxNeighbours is the most that one look for neighbours yields.
const maxNeighbours = 32

// advertise keeps the provider findable until the node closes.
func (s *supply) advertise(n *Node) {
	ad := n.net.Advertise(func() []p2p.Key { return s.keys(n) })
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-s.provider.Changed():
				ad.Changed()
			case <-done:
				return
			}
		}
	})
	n.onClose(func() error {
		close(done)
		wg.Wait()
		ad.Close()
		return nil
	})
}

// keys are the cells that the provider stands in now.
func (s *supply) keys(n *Node) []p2p.Key {
	vram, slugs := s.provider.Standing()
	stand := p2p.Stand{Network: n.cfg.Network, Region: n.cfg.Region, Tier: p2p.TierOf(uint64(vram)), Models: slugs} //nolint:gosec // not negative
	keys, err := stand.Keys(n.ID(), time.Now())
	if err != nil {
		n.cfg.Log.Error("nothing to advertise", "err", err)
	}
	return keys
}

// measure runs the fixed loop that offers are compared by.
func (n *Node) measure(ctx context.Context, e executor.Executor) (uint64, error) {
	space, err := n.blobs.Space(blob.Local)
	if err != nil {
		return 0, err
	}
	return device.Score(ctx, func(ctx context.Context, module []byte) (time.Duration, error) {
		file := n.path("speed.wasm")
		if err := os.WriteFile(file, module, 0o600); err != nil {
			return 0, err
		}
		root, _, err := blob.AddPath(ctx, space, file, nil)
		if err != nil {
			return 0, err
		}
		return runOnce(ctx, e, executor.Spec{
			ID: "speed" + rand16(), Owner: blob.Local, Module: root,
			Limits: executor.Limits{CPU: 1, Memory: 64 << 20, Disk: 1 << 20, Log: 1 << 10, Time: time.Minute},
		})
	})
}

func runOnce(ctx context.Context, e executor.Executor, spec executor.Spec) (ran time.Duration, err error) {
	exec, err := e.Prepare(ctx, spec)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, exec.Remove()) }()
	if err := exec.Start(ctx); err != nil {
		return 0, err
	}
	select {
	case <-exec.Done():
	case <-ctx.Done():
		return 0, errors.Join(ctx.Err(), exec.Stop(context.WithoutCancel(ctx)))
	}
	if r := exec.Result(); r.Cause != executor.Exited || r.ExitCode != 0 {
		return 0, fmt.Errorf("the speed loop ended with %s %s", r.Cause, r.Detail)
	}
	return exec.Result().Ran, nil
}

func protect(net *p2p.Node, p peer.ID, on bool) {
	if on {
		net.Protect(p, "lease")
		return
	}
	net.Unprotect(p, "lease")
}
