package sysfs

import (
	"context"
	"errors"
	"io/fs"

	"souk/node/device"
)

var errGone = errors.New("the kernel doesn't list this device any more")

// Use is how a card is used now, as far as its driver tells: Intel's don't tell
// memory and utilisation here.
func (s *Source) Use(_ context.Context, d device.Device) (device.Use, error) {
	for _, c := range s.cards() {
		if c.bus != d.Bus {
			continue
		}
		use := device.Use{
			ID: d.ID, Utilisation: int(min(c.number("gpu_busy_percent"), 100)), Memory: c.number("mem_info_vram_used"),
			Celsius: int(c.sensor("temp1_input") / 1000),
		}
		microwatts := c.sensor("power1_average") // of amdgpu; newer chips have power1_input
		if microwatts == 0 {
			microwatts = c.sensor("power1_input")
		}
		use.Watts = int(microwatts / 1_000_000)
		if c.vendor == "1002" {
			use.Processes = s.users(find(s.kfdNodes(), c))
		}
		return use, nil
	}
	return device.Use{}, errGone
}

// sensor reads one of the card's sensors, 0 without it.
func (c card) sensor(name string) int64 {
	entries, err := fs.ReadDir(c.s.root, c.dir+"/hwmon")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if n := number(c.s.line(c.dir + "/hwmon/" + e.Name() + "/" + name)); n > 0 {
			return n
		}
	}
	return 0
}
