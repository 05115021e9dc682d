package node

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"time"

	"souk/node/capacity"
	"souk/node/control"
	"souk/node/device"
	"souk/node/executor"
	"souk/protocol/market"
)

// Prospect says what a provider of that configuration would lease out of this
// machine, and what is in the way: the doctor's rows where none runs. Beside
// Provide it needs Dir and Key alone. It starts no node and no job, takes no
// device's lock and leaves nothing behind.
func Prospect(ctx context.Context, cfg Config) []control.Check {
	ctx, cancel := context.WithTimeout(ctx, doctorMax)
	defer cancel()
	dir := cfg.Dir
	scratch, err := os.MkdirTemp("", "souk-doctor-")
	if err != nil {
		return []control.Check{{Name: "machine", Text: err.Error(), Fix: "make the folder for temporary files writable, or name another one in TMPDIR"}}
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	cfg.Dir, cfg.Log = scratch, slog.New(slog.DiscardHandler) // the rows say all of it
	n := &Node{cfg: cfg, supply: &supply{}}
	defer func() { _ = n.Close() }()
	return n.supply.prospect(ctx, n, dir)
}

func (s *supply) prospect(ctx context.Context, n *Node, dir string) []control.Check {
	c := *n.cfg.Provide
	var err error
	if s.machine, err = device.ReadMachine(dir); err != nil {
		return []control.Check{{Name: "machine", Text: err.Error()}}
	}
	total, err := s.total(c)
	if err != nil {
		return []control.Check{{Name: "machine", Text: err.Error(), Fix: "lease out less than there is"}}
	}
	if err = s.equip(ctx, n, c); err != nil && s.wasm == nil {
		return []control.Check{{Name: "executor " + market.KindWASM, Text: err.Error(), Fix: noSandbox}}
	} // else the executor that failed is asked again, for its own row
	s.auto = c.auto()
	if s.stock, err = stocked(ctx, device.Options{Policy: c.Devices.Policy}, c.SimulateGPU, s.passing(), n.cfg.Log); err != nil {
		return []control.Check{{Name: "devices", Text: err.Error()}}
	}
	n.onClose(s.stock.inventory.Close)
	total.Devices = s.stock.leased
	free, err := capacity.New(total, time.Now)
	if err != nil {
		return []control.Check{{Name: "devices", Text: err.Error()}}
	}
	s.stock.serve(free, nil)
	return append(s.checkExecutors(ctx), s.wouldOffer(ctx))
}

// wouldOffer is the row of the devices, which need an executor that works.
func (s *supply) wouldOffer(ctx context.Context) control.Check {
	c := s.checkDevices()
	c.Text = "`souk provide` would offer " + c.Text
	usable := slices.ContainsFunc(s.executors, func(e executor.Executor) bool { return e.Kind() != market.KindWASM && e.Check(ctx) == nil })
	real := slices.ContainsFunc(s.stock.inventory.Latest(), func(f device.Finding) bool { return f.Device.Kind != device.Simulated })
	switch {
	case !s.stock.looked:
		c.Text += "; GPUs weren't looked for, as only images can use one and none run here"
	case real && !usable:
		c.Text += "; no job can use a GPU before images run here"
	}
	if c.Fix == "" && (!real || !usable) {
		c.Fix = "to lease out a GPU: `souk devices` says which are found, and what to install; the row executor docker, what images need"
	}
	return c
}

// passing tells whether some executor could pass a device to a job.
func (s *supply) passing() bool {
	return slices.ContainsFunc(s.executors, func(e executor.Executor) bool { return e.Kind() != market.KindWASM })
}
