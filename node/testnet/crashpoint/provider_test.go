package crashpoint_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/capacity"
	"souk/node/device"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/node/provider"
	blobs "souk/protocol/blob"
	"souk/protocol/challenge"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/run"
	"souk/protocol/status"
)

// machine is all that a provider leases out. The device is shared, so that
// challenging it is a matter of products alone.
func machine() capacity.Total {
	gpu := device.Device{ID: "simulated-0", Model: "RTX 4090", Slug: "rtx-4090", VRAM: 24 << 30, Kind: device.Simulated}
	return capacity.Total{Devices: []device.Device{gpu}, Shares: 2, CPU: 2, Memory: 1 << 30, Disk: 1 << 30, Slots: 2}
}

// seller is a provider's node.
type seller struct {
	node
	region   string
	price    market.Amount // per hour
	stage    *stage
	cores    cores
	capacity *capacity.Capacity
	provider *provider.Provider
}

func newSeller(t *testing.T, net *web, dir, region string, price market.Amount) *seller {
	return &seller{node: newNode(t, net, dir), region: region, price: price, stage: newStage(filepath.Join(dir, "executions"))}
}

// up begins a life; errCrash: it ended at once.
func (s *seller) up(f *fate) error {
	s.provider = nil
	if err := s.open(f); err != nil {
		return err
	}
	var err error
	total := machine()
	if s.capacity, err = capacity.New(total, time.Now); err != nil {
		return err
	}
	cache, err := offer.NewCache(10)
	if err != nil {
		return err
	}
	s.provider, err = provider.New(provider.Config{
		Host: s.host, Key: s.key, Network: networkName, Ledger: &frailBook{s.ledger, ledger.Provider, f}, Blobs: s.blobs,
		Executors: []executor.Executor{&frailStage{s.stage, f}}, Capacity: s.capacity, Offers: cache, Boot: newBoot(), Dir: filepath.Join(s.dir, "logs"),
		Total: total, Speed: 1, Region: s.region, Price: s.price, Tick: time.Second, MaxTime: time.Hour, Challenge: offer.ChallengeLease,
		CheckEvery: time.Hour, Addrs: s.host.Addrs, Protect: func(peer.ID, bool) {}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	status.Serve(s.serve, s.provider)
	if err := s.provider.Start(context.Background()); err != nil {
		return err
	}
	offer.Serve(s.serve, networkName, s.provider)
	lease.Serve(s.serve, s.provider.Chain(), s.provider.Address(), s.provider)
	run.Serve(s.serve, s.provider)
	blobs.Serve(s.serve, s.provider)
	challenge.Serve(s.serve, networkName, s.id, &s.cores)
	return nil
}

func (s *seller) down() error {
	return s.close(func() error {
		if s.provider == nil {
			return nil
		}
		return s.provider.Close()
	})
}

// idle tells that nothing of the machine is held or runs.
func (s *seller) idle() bool {
	free, all := s.capacity.Free(), machine()
	return s.provider.Live() == 0 && s.stage.left() == 0 && free.CPU == all.CPU && free.Memory == all.Memory && free.Slots == all.Slots &&
		len(free.Devices) == len(all.Devices)
}
