package device

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// Finding is a device, how it is used, and what speaks against offering it.
type Finding struct {
	Number    int // from 0, in the order in which devices were first seen
	Device    Device
	Use       Use
	Obstacles []Obstacle
	Holder    int // the process that offers it, where that is another one that can be seen; else 0
}

// Offered tells whether nothing speaks against it.
func (f Finding) Offered() bool { return len(f.Obstacles) == 0 }

// Options are what an Inventory works with beside its sources.
type Options struct {
	Policy Policy
	// Hold takes the machine-wide lock of each device that nothing else speaks
	// against, until Close. Without it an Inventory only looks who has it.
	Hold bool
	// Leased tells whether a lease of this node is on a device, so that it is
	// no wonder that something uses it. Nil is never.
	Leased func(id string) bool
	// Passable says why devices of a vendor can't be passed to a job here; nil if
	// they can. It is asked at each look. Nil is always.
	Passable func(ctx context.Context, vendor string) error
	// Tell is told what each Check found to have changed, or to have failed, one
	// after the other. It must not look itself. Nil tells nobody.
	Tell func([]Change, error)
	// Now is the clock for Use.At: time.Now outside tests.
	Now func() time.Time
}

// Inventory knows a machine's devices as it last looked at them. It is safe
// for concurrent use; looks come one at a time.
type Inventory struct {
	options Options
	sources []Source
	locker  func(id string) (deviceLock, error)

	looking sync.Mutex
	locks   map[string]deviceLock // guarded by looking
	before  map[string]standing   // by device ID, guarded by looking
	numbers map[string]int        // by device ID: the how manieth that was ever seen, guarded by looking
	meant   map[string]bool       // the words of devices.reserve that ever meant a device, guarded by looking

	mu        sync.Mutex
	latest    []Finding
	unmatched []string // the other words
}

// NewInventory asks the sources in that order, as Detect does. Nothing is
// looked at before the first Look.
func NewInventory(o Options, sources ...Source) *Inventory {
	if o.Leased == nil {
		o.Leased = func(string) bool { return false }
	}
	if o.Passable == nil {
		o.Passable = func(context.Context, string) error { return nil }
	}
	if o.Tell == nil {
		o.Tell = func([]Change, error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &Inventory{options: o, sources: guard(sources), locks: map[string]deviceLock{}, before: map[string]standing{}, numbers: map[string]int{}, meant: map[string]bool{}, locker: lockDevice}
	if !o.Hold {
		v.locker = func(id string) (deviceLock, error) { return nil, checkDevice(id) }
	}
	return v
}

// Look asks every source what is here and how it is used. The findings are
// valid beside an error too, as with Detect.
func (v *Inventory) Look(ctx context.Context) ([]Finding, error) {
	v.looking.Lock()
	defer v.looking.Unlock()
	findings, err := v.look(ctx)
	v.compare(findings, err)
	return findings, err
}

// look holds v.looking.
func (v *Inventory) look(ctx context.Context) ([]Finding, error) {
	devices, err := Detect(ctx, v.sources...)
	for _, l := range v.locks {
		l.forget()
	}
	v.number(devices)
	unmatched := v.reserve(devices)
	findings := make([]Finding, 0, len(devices))
	ways := map[string]error{}
	for _, d := range devices {
		way, asked := ways[d.Vendor]
		if !asked && d.Kind != Simulated {
			way = v.options.Passable(ctx, d.Vendor)
			ways[d.Vendor] = way
		}
		n := v.numbers[d.ID]
		f := Finding{Number: n, Device: d, Use: v.read(ctx, d)}
		f.Obstacles = v.options.Policy.judge(d, n, f.Use.without(os.Getpid()), v.options.Leased(d.ID))
		if len(unmatched) > 0 && !v.options.Policy.reserves(d, n) {
			f.Obstacles = append(f.Obstacles, withheld(unmatched))
		}
		if way != nil {
			f.Obstacles = append(f.Obstacles, obstacle(NoWay, "%v", way))
		}
		if d.Kind != Simulated && !slices.ContainsFunc(f.Obstacles, func(o Obstacle) bool { return o.Code != Busy }) {
			v.lock(&f)
		}
		findings = append(findings, f)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.latest, v.unmatched = slices.Clone(findings), unmatched
	return findings, err
}

// lock takes or looks at the device's lock. Who offers a device elsewhere also
// keeps it busy, so that is then the only obstacle.
func (v *Inventory) lock(f *Finding) {
	id := f.Device.ID
	if v.locks[id] != nil {
		return
	}
	lock, err := v.locker(id)
	var held *HeldError
	switch {
	case errors.As(err, &held):
		f.Obstacles, f.Holder = []Obstacle{obstacle(Taken, "%s", held.Error())}, held.PID
	case err != nil:
		f.Obstacles = append(f.Obstacles, obstacle(Taken, "its lock can't be had: %v", err))
	case lock != nil:
		v.locks[id] = lock
	}
}

// read is how a device is used, as far as its source can say.
func (v *Inventory) read(ctx context.Context, d Device) Use {
	for _, s := range v.sources {
		if r, ok := s.(Reader); ok && s.Name() == d.Source {
			if use, err := r.Use(ctx, d); err == nil {
				use.ID, use.At = d.ID, v.options.Now()
				return use
			}
		}
	}
	return Use{ID: d.ID}
}

// Use is how those devices were used at the last look. Devices that weren't
// there have none. It never waits for a driver.
func (v *Inventory) Use(ids []string) []Use {
	v.mu.Lock()
	defer v.mu.Unlock()
	var uses []Use
	for _, id := range ids {
		for _, f := range v.latest {
			if f.Device.ID == id {
				uses = append(uses, f.Use)
			}
		}
	}
	return uses
}

// Latest is what the last look found.
func (v *Inventory) Latest() []Finding {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.latest)
}

// Explain says, of each source that can, what it looked for.
func (v *Inventory) Explain() []string {
	var out []string
	for _, s := range v.sources {
		if e, ok := s.(Explainer); ok {
			out = append(out, e.Explain()...)
		}
	}
	return out
}

// Close gives the devices' locks up and closes the sources that need it.
func (v *Inventory) Close() error {
	v.looking.Lock()
	defer v.looking.Unlock()
	var errs []error
	for id, l := range v.locks {
		errs = append(errs, l.Close())
		delete(v.locks, id)
	}
	for _, s := range v.sources {
		if c, ok := s.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
