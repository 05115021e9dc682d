package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
)

// providerFlags are the arguments of `souk-hostile provider`.
type providerFlags struct {
	leash
	network, bootstrap, listen, key, price, gpu, evidence, region, behave, ready string

	vram  int
	tick  time.Duration
	every time.Duration
	speed uint64
	ticks int
}

func (p *providerFlags) flags(f *flag.FlagSet) {
	f.StringVar(&p.network, "network", "", "the network to join")
	f.StringVar(&p.bootstrap, "bootstrap", "", "addresses of peers to join by, separated by commas; each ends in /p2p/PEER")
	f.StringVar(&p.listen, "listen", "/ip4/127.0.0.1/tcp/0", "address to listen on")
	f.StringVar(&p.key, "key", "", "file with this peer's key, made if it isn't there; without one a new key each time")
	f.StringVar(&p.price, "price", "0.10/h", "price that it offers, in USD per hour")
	f.DurationVar(&p.tick, "tick", time.Second, "tick, 1s to 1h")
	f.StringVar(&p.gpu, "gpu", "", `GPU that it claims, like "RTX 4090" or "RTX 4090:2"; none if empty`)
	f.IntVar(&p.vram, "vram", 24, "memory of that GPU in GiB")
	f.StringVar(&p.evidence, "evidence", market.Simulated, "what it says that its GPU's figures rest on: simulated, claimed or measured")
	f.StringVar(&p.region, "region", "eu", "region that it claims")
	f.Uint64Var(&p.speed, "speed", 250_000_000, "speed that it claims, in rounds of souk's fixed loop per second")
	f.IntVar(&p.ticks, "ticks", 3, "how many ticks a job seems to run, where the behaviour doesn't say")
	f.DurationVar(&p.every, "advertise-every", 15*time.Second, "how often it advertises itself in the DHT")
	f.StringVar(&p.behave, "behave", "overcharge", "behaviours of the first lease, the second…, separated by commas; the last one repeats (see souk-hostile behaviours)")
	f.StringVar(&p.ready, "ready-file", "", "file to write, as JSON, once it can be found: peer, addrs, pid")
	p.leash.flags(f)
}

func providerCommand(ctx context.Context, args []string, std streams) error {
	var p providerFlags
	f := flag.NewFlagSet("provider", flag.ContinueOnError)
	p.flags(f)
	if err := parse(f, args, std); err != nil {
		return err
	}
	told := &story{w: std.out}
	cfg, err := p.config(told)
	if err != nil {
		return misused(std, "%v", err)
	}
	boots, err := peersOf(p.bootstrap)
	if err != nil {
		return misused(std, "%v", err)
	}
	if cfg.key, err = loadKey(p.key); err != nil {
		return err
	}
	ctx, cancel := p.hold(ctx, std.in)
	defer cancel()
	return provide(ctx, cfg, boots, p)
}

func (p *providerFlags) config(told *story) (shopConfig, error) {
	price, err := parsePrice(p.price)
	if err != nil {
		return shopConfig{}, err
	}
	behaviours, err := parseCheats(p.behave)
	if err != nil {
		return shopConfig{}, err
	}
	device, err := parseGPU(p.gpu, p.vram, p.evidence)
	if err != nil {
		return shopConfig{}, err
	}
	switch {
	case !market.ValidNetwork(p.network):
		return shopConfig{}, fmt.Errorf("--network %q must be 1 to 32 of a-z, 0-9 and -", p.network)
	case p.tick < time.Second || p.tick > time.Hour:
		return shopConfig{}, fmt.Errorf("--tick %s must be from 1s to 1h", p.tick)
	case p.ticks < 1 || p.every <= 0:
		return shopConfig{}, fmt.Errorf("--ticks and --advertise-every must be above 0")
	}
	return shopConfig{
		network: p.network, price: price, tick: p.tick, device: device, region: p.region, speed: p.speed, ticks: p.ticks,
		cheats: behaviours, say: told.say,
	}, nil
}

// provide serves until ctx ends. A shop that vanished stays gone until then.
func provide(ctx context.Context, cfg shopConfig, boots []peer.AddrInfo, p providerFlags) error {
	h, err := newHost(cfg.key, p.listen)
	if err != nil {
		return fmt.Errorf("start to listen on %s: %w", p.listen, err)
	}
	defer h.Close()
	d, err := newDHT(h, cfg.network)
	if err != nil {
		return err
	}
	defer d.Close()
	s, err := openShop(h, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	s.say("hostile provider %s on %q; behaves: %s", h.ID(), cfg.network, p.behave)

	live, cancel := context.WithCancel(ctx)
	defer cancel()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	failed := make(chan error, 1)
	tasks.Go(func() {
		ready := func() {
			if err := announce(p.ready, h, s.say); err != nil {
				failed <- err
			}
		}
		if len(boots) == 0 {
			ready() // the first of its network: nobody could store its keys yet
			ready = nil
		}
		if join(live, h, boots) == nil {
			advertise(live, d, cellKeys(cfg.network, cfg.region, cfg.device.VRAM, cfg.device.Slug, h.ID()), p.every, ready)
		}
	})
	select {
	case err := <-failed:
		return err
	case <-s.gone:
		cancel()
		_ = h.Close()
		<-ctx.Done()
	case <-ctx.Done():
	}
	s.say("hostile provider ends")
	return nil
}

// announce says where the peer is, on its output and in the ready file.
func announce(file string, h host.Host, say func(string, ...any)) error {
	var addrs []string
	for _, a := range h.Addrs() {
		addrs = append(addrs, a.String()+"/p2p/"+h.ID().String())
	}
	say("ready at %s", strings.Join(addrs, " "))
	if file == "" {
		return nil
	}
	text, err := json.Marshal(map[string]any{"peer": h.ID().String(), "addrs": addrs, "pid": os.Getpid()})
	if err != nil {
		return err
	}
	// Whoever waits for the file must find all of it.
	part := filepath.Clean(file) + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, file)
}
