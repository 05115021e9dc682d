package device

import (
	"context"
	"errors"
	"slices"
	"time"
)

// WatchEvery is how often a node looks at its devices.
const WatchEvery = 10 * time.Second

// What became of a device.
type What string

// What can become of one. Only Gone ends leases: of a device that is merely
// Out, those that hold it go on.
const (
	Gone What = "gone" // nothing can run on it any more
	Out  What = "out"  // nothing new is leased on it
	Back What = "back" // it is offered, again or for the first time
)

// Change is what became of one device between two looks.
type Change struct {
	Device Device
	What   What
	Why    string // a sentence; "" for Back
}

// absences is how many looks in a row a device is missing in before it counts
// as gone: one may fall into a moment in which the driver is busy with itself.
const absences = 2

// standing is how a device stood at a look.
type standing struct {
	device Device
	what   What
	why    string
	absent int // looks in a row
}

// Check looks once, and gives and tells what changed since the look before. The
// error says which sources failed; the changes are valid beside it. What was
// cut short by ctx changes nothing.
func (v *Inventory) Check(ctx context.Context) ([]Change, error) {
	v.looking.Lock()
	defer v.looking.Unlock()
	findings, err := v.look(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	changes := v.compare(findings, err)
	if len(changes) > 0 || err != nil {
		v.options.Tell(changes, err)
	}
	return changes, err
}

// Watch checks again and again until ctx ends, in the goroutine of its caller.
func (v *Inventory) Watch(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_, _ = v.Check(ctx) // it tells
		case <-ctx.Done():
			return
		}
	}
}

// Fault is what is wrong with the first of those devices on which, as the last
// look found, nothing can run; "" if there is none.
func (v *Inventory) Fault(ids []string) string {
	v.looking.Lock()
	defer v.looking.Unlock()
	for _, id := range ids {
		if s := v.before[id]; s.what == Gone || s.absent > 0 {
			return s.device.Model + " (" + id + "): " + s.why
		}
	}
	return ""
}

// compare holds v.looking.
func (v *Inventory) compare(findings []Finding, failed error) []Change {
	var changes []Change
	seen := map[string]bool{}
	for _, f := range findings {
		id := f.Device.ID
		before, known := v.before[id]
		if !known && v.shadow(f.Device) || known && before.device.Source != f.Device.Source {
			continue // another source's view of what its own source doesn't report now
		}
		seen[id] = true
		what, why := f.stands()
		changes = v.note(changes, standing{device: f.Device, what: what, why: why})
	}
	var missing []string
	for id := range v.before {
		if !seen[id] {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	for _, id := range missing {
		next := v.before[id]
		next.what, next.why, next.absent = next.without(failed)
		changes = v.note(changes, next)
		if l := v.locks[id]; l != nil && next.what == Gone {
			_ = l.Close()
			delete(v.locks, id)
		}
	}
	return changes
}

// note remembers how a device stands now.
func (v *Inventory) note(changes []Change, now standing) []Change {
	before, known := v.before[now.device.ID]
	v.before[now.device.ID] = now
	if known && before.what == now.what || !known && now.what != Back {
		return changes
	}
	return append(changes, Change{Device: now.device, What: now.what, Why: now.why})
}

// stands tells what a device that is here is good for.
func (f Finding) stands() (What, string) {
	what, why := Back, ""
	for _, o := range f.Obstacles {
		switch {
		case o.Code == Faulty || o.Code == Lost || o.Code == Partitioned:
			return Gone, o.Text
		case what == Back:
			what, why = Out, o.Text
		}
	}
	return what, why
}

// without tells what a device is good for that no source reported.
func (s standing) without(failed error) (what What, why string, absent int) {
	if err := failureOf(failed, s.device.Source); err != nil {
		if s.what == Gone || errors.Is(err, ErrDriverChanged) {
			return Gone, err.Error(), s.absent
		}
		return Out, err.Error(), s.absent
	}
	if s.absent++; s.absent < absences && s.what != Gone {
		return Out, "its driver doesn't list it", s.absent
	}
	return Gone, "its driver doesn't list it any more: it fell off the bus, or was partitioned anew or taken away", s.absent
}

// failureOf finds the error of one source.
func failureOf(err error, source string) error {
	var failed *SourceError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			if errors.As(one, &failed) && failed.Source == source {
				return failed.Err
			}
		}
	}
	return nil
}

// shadow tells that d is a known device of a source that doesn't report it
// now, as another source sees it.
func (v *Inventory) shadow(d Device) bool {
	for _, s := range v.before {
		if d.Bus != "" && s.device.Bus == d.Bus && s.device.Source != d.Source {
			return true
		}
	}
	return false
}
