package crashpoint_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/capacity"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/node/provider"
	blobs "souk/protocol/blob"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/run"
	"souk/protocol/status"
)

// machine is all that the provider leases out.
var machine = capacity.Total{CPU: 2, Memory: 1 << 30, Disk: 1 << 30, Slots: 2}

// seller is the provider's node.
type seller struct {
	node
	stage    *stage
	capacity *capacity.Capacity
	provider *provider.Provider
}

// up begins a life; errCrash: it ended at once.
func (s *seller) up(f *fate) error {
	s.provider = nil
	if err := s.open(f); err != nil {
		return err
	}
	var err error
	if s.capacity, err = capacity.New(machine, time.Now); err != nil {
		return err
	}
	cache, err := offer.NewCache(10)
	if err != nil {
		return err
	}
	s.provider, err = provider.New(provider.Config{
		Host: s.host, Key: s.key, Network: networkName, Ledger: &frailBook{s.ledger, ledger.Provider, f}, Blobs: s.blobs,
		Executors: []executor.Executor{&frailStage{s.stage, f}}, Capacity: s.capacity, Offers: cache, Boot: newBoot(), Dir: filepath.Join(s.dir, "logs"),
		Total: machine, Speed: 1, Region: "eu", Price: market.NewAmount(3_600_000), Tick: time.Second, MaxTime: time.Hour,
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
	free := s.capacity.Free()
	return s.provider.Live() == 0 && s.stage.left() == 0 && free.CPU == machine.CPU && free.Memory == machine.Memory && free.Slots == machine.Slots
}
