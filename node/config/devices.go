package config

import (
	"fmt"

	"souk/node/device"
)

// Devices is which of a machine's GPUs are leased out, and how.
type Devices struct {
	Reserve    []string // never offered: IDs, numbers of `souk devices`, PCI addresses, models
	Display    bool     // offer those that show a screen, too
	BusyMemory int64    // bytes that others may use on one that is offered
	Shared     int      // leases on one at a time
}

// maxShared is the most leases that one device is for at a time.
const maxShared = 64

func deviceFields() []field {
	const p = "devices."
	return []field{
		many(p+"reserve", "GPUs that are never leased out: IDs or numbers as `souk devices` shows them, PCI addresses, or models", readReserve),
		one(p+"display", "lease out GPUs that show a screen, too", "false", func(c *Config, s string) error { return boolean(&c.Devices.Display, s) }),
		one(p+"busy_memory", "how much of a GPU's memory others may use before it counts as busy", "1GiB", func(c *Config, s string) error { return size(&c.Devices.BusyMemory, s) }),
		one(p+"shared", "how many leases may be on one GPU at a time; 1: each has its GPUs alone", "1", readShared),
	}
}

func readReserve(c *Config, v []string) error {
	for _, name := range v {
		if device.Slug(name) == "" {
			return fmt.Errorf("%.40q names no GPU; write an ID, a number, an address or a model as `souk devices` shows them", name)
		}
	}
	c.Devices.Reserve = v
	return nil
}

func readShared(c *Config, s string) error {
	if err := whole(&c.Devices.Shared, s, maxShared); err != nil {
		return err
	}
	if c.Devices.Shared == 0 {
		return fmt.Errorf("it must be 1 at least; to lease out no GPU, name it in devices.reserve")
	}
	return nil
}
