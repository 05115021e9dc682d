package capacity

import (
	"cmp"
	"fmt"
	"slices"

	"souk/node/device"
)

// Remove takes a device out: no new reservation gets it until Return. It gives
// the reservations that hold it, which go on holding it, by their IDs in order;
// whoever made them decides what becomes of them. Those that aren't committed
// can't be any more.
func (c *Capacity) Remove(id string) (holders []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	if !c.known(id) {
		return nil
	}
	c.removed[id] = true
	return c.holders(id)
}

// Return puts a device back that was removed, or adds one that is new. Who
// held it all the while still does.
func (c *Capacity) Return(d device.Device) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.ID == "" {
		return fmt.Errorf("each device has an ID of its own, and %s has none", d.Model)
	}
	if !c.known(d.ID) {
		c.total.Devices = append(c.total.Devices, d)
	}
	delete(c.removed, d.ID)
	return nil
}

// Holders are the reservations that hold a device, by their IDs in order.
func (c *Capacity) Holders(id string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	return c.holders(id)
}

// Total is what could be reserved if nothing were: without removed devices.
func (c *Capacity) Total() Total {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := c.total
	total.Devices = slices.DeleteFunc(slices.Clone(total.Devices), func(d device.Device) bool { return c.removed[d.ID] })
	return total
}

func (c *Capacity) known(id string) bool {
	return slices.ContainsFunc(c.total.Devices, func(d device.Device) bool { return d.ID == id })
}

func (c *Capacity) holders(id string) []string {
	var out []string
	for name, r := range c.held {
		if slices.Contains(r.holding.DeviceIDs, id) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (c *Capacity) shares() int { return max(c.total.Shares, 1) }

// weight is how many shares of each device a holding has.
func (c *Capacity) weight(h Holding) int {
	if h.Shared {
		return 1
	}
	return c.shares()
}

// room tells whether so many shares of a device are free.
func (c *Capacity) room(id string, weight int) bool {
	return !c.removed[id] && c.taken[id]+weight <= c.shares()
}

// choose picks like devices that match and have so many shares free. Those with
// the least memory go first, so that the large ones stay free for who needs
// them, and of those the ones that are shared already, so that whole ones do.
// With too few, the miss speaks of the group that comes nearest.
func (c *Capacity) choose(need device.Need, weight int) ([]device.Device, []Miss) {
	if need.Count == 0 {
		return nil, nil
	}
	matching := slices.DeleteFunc(slices.Clone(c.total.Devices), func(d device.Device) bool { return c.removed[d.ID] || !need.Match(d) })
	slices.SortStableFunc(matching, func(a, b device.Device) int {
		return cmp.Or(cmp.Compare(a.VRAM, b.VRAM), cmp.Compare(c.taken[b.ID], c.taken[a.ID]))
	})
	miss := Miss{Dimension: Devices, Need: int64(need.Count), Device: need.String()}
	for _, kind := range matching {
		var free []device.Device
		total := int64(0)
		for _, d := range matching {
			if !d.Like(kind) {
				continue
			}
			total++
			if c.room(d.ID, weight) {
				free = append(free, d)
			}
		}
		if len(free) >= need.Count {
			return free[:need.Count], nil
		}
		miss.Free, miss.Total = max(miss.Free, int64(len(free))), max(miss.Total, total)
	}
	return nil, []Miss{miss}
}

// named finds devices by ID; each that isn't known, or in use, is a miss. A
// removed one is found: its lease was there before.
func (c *Capacity) named(ids []string, weight int) (found []device.Device, misses []Miss) {
	for i, id := range ids {
		at := slices.IndexFunc(c.total.Devices, func(d device.Device) bool { return d.ID == id })
		switch {
		case at < 0 || slices.Contains(ids[:i], id):
			misses = append(misses, Miss{Dimension: Devices, Need: 1, Device: id})
		case c.taken[id]+weight > c.shares():
			misses = append(misses, Miss{Dimension: Devices, Need: 1, Total: 1, Device: id})
		default:
			found = append(found, c.total.Devices[at])
		}
	}
	return found, misses
}
