package device

import (
	"fmt"
	"slices"
	"strings"
)

// A word of devices.reserve that never meant a device may be a typing error, or
// the number of one that isn't there yet. Until it means one, any device may be
// the one that its owner wants to keep, so none is offered; see docs/adr/0015.

// number gives each device its number, which it keeps when others vanish:
// devices.reserve may say it. It holds v.looking.
func (v *Inventory) number(devices []Device) {
	for _, d := range devices {
		if _, known := v.numbers[d.ID]; !known {
			v.numbers[d.ID] = len(v.numbers)
		}
	}
}

// reserve gives the words of devices.reserve that mean none of the devices, and
// never did. It holds v.looking.
func (v *Inventory) reserve(devices []Device) (unmatched []string) {
	for _, word := range v.options.Policy.Reserve {
		if slices.ContainsFunc(devices, func(d Device) bool { return names(word, d, v.numbers[d.ID]) }) {
			v.meant[word] = true
		}
		if !v.meant[word] {
			unmatched = append(unmatched, word)
		}
	}
	return unmatched
}

func withheld(unmatched []string) Obstacle {
	return obstacle(Withheld, "devices.reserve names %s, and no device here is called so: this one may be meant", strings.Join(unmatched, ", "))
}

// Unmatched are the words of devices.reserve that meant none of the devices at
// any look so far.
func (v *Inventory) Unmatched() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.unmatched)
}

// Misnamed says in a sentence which words of devices.reserve mean nothing, what
// follows from it, and what there is; "" if all mean something.
func (v *Inventory) Misnamed() string {
	unmatched := v.Unmatched()
	if len(unmatched) == 0 {
		return ""
	}
	said := fmt.Sprintf("devices.reserve names %s, and no device here is called so", strings.Join(unmatched, ", "))
	var here []string
	for _, f := range v.Latest() {
		here = append(here, fmt.Sprintf("%d (%s, %s)", f.Number, f.Device.Model, f.Device.ID))
	}
	if len(here) == 0 {
		return said + ": there is none"
	}
	return said + ": none is offered until that is corrected or the device comes; there is " + strings.Join(here, ", ")
}
