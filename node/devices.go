package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"souk/node/capacity"
	"souk/node/device"
	"souk/node/device/sources"
	"souk/node/executor/docker"
	"souk/protocol/market"
)

// Devices says which of a machine's GPUs are leased out, and how.
type Devices struct {
	Policy device.Policy
	Shared int // leases on one device at a time; 0 is 1
}

// faultTimeout bounds the look at devices under which a job failed.
const faultTimeout = 10 * time.Second

// stock is a provider's devices: what is here, and what becomes of it while
// the node runs.
type stock struct {
	inventory *device.Inventory
	leased    []device.Device // what the provider began with
	busy      []string        // of these, the IDs of those that aren't offered at the moment
	looked    bool            // real ones were looked for
	log       *slog.Logger

	free     *capacity.Capacity // nil before serve
	provider lessor

	mu      sync.Mutex
	failure error // of the last look; it is logged once
}

// lessor is who leases the devices out; *provider.Provider is one.
type lessor interface {
	DeviceLost(d device.Device, why string)
	DeviceOut(d device.Device, why string)
	DeviceBack(d device.Device)
	DevicesChanged()
}

// newStock looks for the devices. Real ones are only for executors that can
// pass them to a job: without one they aren't looked for, and stay free for
// other processes.
func newStock(ctx context.Context, d Devices, simulated []string, real bool, log *slog.Logger) (*stock, error) {
	return stocked(ctx, device.Options{Policy: d.Policy, Hold: true}, simulated, real, log)
}

func stocked(ctx context.Context, o device.Options, simulated []string, real bool, log *slog.Logger) (*stock, error) {
	find := sources.Simulated
	if real {
		find = sources.All
	}
	all, err := find(simulated...)
	if err != nil {
		return nil, err
	}
	o.Passable = docker.Passable
	s := stockOf(ctx, o, log, all...)
	s.looked = real
	return s, nil
}

// stockOf is the stock of what those sources find.
func stockOf(ctx context.Context, o device.Options, log *slog.Logger, all ...device.Source) *stock {
	s := &stock{log: log}
	o.Leased, o.Tell = s.isLeased, s.changed
	s.inventory = device.NewInventory(o, all...)
	findings, err := s.inventory.Look(ctx)
	if err != nil {
		s.failed(err) // the other sources' devices are leased out all the same
	}
	for _, f := range findings {
		switch {
		case f.Offered():
			s.leased = append(s.leased, f.Device)
		case !slices.ContainsFunc(f.Obstacles, lasting): // with a lease of before a restart, perhaps
			s.leased = append(s.leased, f.Device)
			s.busy = append(s.busy, f.Device.ID)
		}
		for _, o := range f.Obstacles {
			log.Info("device not offered", "device", f.Device.ID, "model", f.Device.Model, "why", o.Text)
		}
	}
	if why := s.inventory.Misnamed(); why != "" {
		log.Warn(why)
	}
	return s
}

// lasting tells whether a device can't have been leased out a moment ago.
func lasting(o device.Obstacle) bool { return o.Code != device.Busy && o.Code != device.Withheld }

// serve tells the stock where what becomes of its devices is to be told. It is
// called once, before watch and before the provider starts.
func (s *stock) serve(free *capacity.Capacity, p lessor) {
	for _, id := range s.busy {
		free.Remove(id)
	}
	s.free, s.provider = free, p
}

// watch looks again and again until stop, which waits.
func (s *stock) watch() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.inventory.Watch(ctx, device.WatchEvery) })
	return func() error {
		cancel()
		wg.Wait()
		return nil
	}
}

func (s *stock) isLeased(id string) bool { return s.free != nil && len(s.free.Holders(id)) > 0 }

// changed brings capacity and provider up to what was found. It is called
// after one look at a time.
func (s *stock) changed(changes []device.Change, err error) {
	s.failed(err)
	for _, c := range changes {
		switch c.What {
		case device.Gone:
			s.free.Remove(c.Device.ID)
			s.provider.DeviceLost(c.Device, c.Why)
		case device.Out:
			s.free.Remove(c.Device.ID)
			s.provider.DeviceOut(c.Device, c.Why)
		case device.Back:
			if err := s.free.Return(c.Device); err == nil {
				s.provider.DeviceBack(c.Device)
			}
		}
	}
	if len(changes) > 0 {
		s.provider.DevicesChanged()
	}
}

// failed logs a failure once for as long as it stays the same. That this node
// ends is none.
func (s *stock) failed(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && (s.failure == nil || s.failure.Error() != err.Error()) {
		s.log.Warn("looking for devices", "err", err)
	}
	s.failure = err
}

func (s *stock) lastFailure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// broken tells whether something is wrong with devices that doesn't pass by itself.
func (s *stock) broken() bool {
	return errors.Is(s.lastFailure(), device.ErrDriverChanged) || slices.ContainsFunc(s.inventory.Latest(), func(f device.Finding) bool {
		return slices.ContainsFunc(f.Obstacles, func(o device.Obstacle) bool { return o.Code == device.Lost || o.Code == device.Faulty })
	})
}

// lacking says why devices that are here aren't offered, a sentence each. What
// their owner reserved, or never could be leased, goes without saying; words of
// devices.reserve that mean nothing are said once for all.
func (s *stock) lacking() (sentences []string) {
	if err := s.lastFailure(); err != nil {
		sentences = append(sentences, err.Error())
	}
	if why := s.inventory.Misnamed(); why != "" {
		sentences = append(sentences, why)
	}
	if s.looked && s.lastFailure() == nil && len(s.inventory.Latest()) == 0 {
		sentences = append(sentences, "GPU: none found; `souk devices` says why")
	}
	for _, f := range s.inventory.Latest() {
		if slices.ContainsFunc(f.Obstacles, expected) {
			continue
		}
		for _, o := range f.Obstacles {
			sentences = append(sentences, fmt.Sprintf("%s (%s): %s", f.Device.Model, f.Device.ID, o.Text))
		}
	}
	return sentences
}

func expected(o device.Obstacle) bool {
	return o.Code == device.Reserved || o.Code == device.Withheld || o.Code == device.Partitioned || o.Code == device.NoMemory
}

// fault looks at devices under which a job failed.
func (s *stock) fault(ids []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	_, _ = s.inventory.Check(ctx) // it tells, and what failed is no fault of a device
	return s.inventory.Fault(ids)
}

// use is how devices were used at the last look, for receipts.
func (s *stock) use(ids []string) []market.DeviceUse {
	var out []market.DeviceUse
	for _, id := range ids {
		for _, f := range s.inventory.Latest() {
			if f.Device.ID == id && !f.Use.At.IsZero() {
				out = append(out, market.DeviceUse{
					ID: id, Model: f.Device.Model, Utilisation: f.Use.Utilisation, Memory: f.Use.Memory, Celsius: f.Use.Celsius, Watts: f.Use.Watts,
				})
			}
		}
	}
	return out
}

// nodes are the device files that whoever runs on a device opens.
func (s *stock) nodes(id string) []string {
	for _, f := range s.inventory.Latest() {
		if f.Device.ID == id {
			return f.Device.Detail.Nodes
		}
	}
	return nil
}
