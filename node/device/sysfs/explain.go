package sysfs

import (
	"fmt"
	"io/fs"
	"strings"
)

// Explain says what of AMD's and Intel's was looked for, and names cards that
// are in the machine without a driver, whoever made them.
func (s *Source) Explain() []string {
	if _, err := fs.Stat(s.root, drm); err != nil {
		return append([]string{"AMD and Intel: /sys/class/drm is not here: no driver of the kernel's found a graphics card; in a container, pass /dev/dri and /dev/kfd in"}, s.idle()...)
	}
	return append([]string{"AMD and Intel: /sys/class/drm lists no card of theirs; the kernel's drivers are amdgpu, i915 and xe"}, s.idle()...)
}

// idle names the graphics cards that no driver drives.
func (s *Source) idle() (out []string) {
	const devices = "sys/bus/pci/devices"
	entries, err := fs.ReadDir(s.root, devices)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		dir := devices + "/" + e.Name()
		class, driver := s.line(dir+"/class"), s.field(dir+"/uevent", "DRIVER")
		if !strings.HasPrefix(class, display) && !strings.HasPrefix(class, compute) || driver != "" {
			continue
		}
		vendor := hex(s.line(dir + "/vendor"))
		maker := map[string]string{"1002": "AMD", "8086": "Intel", nvidia: "NVIDIA"}[vendor]
		if maker == "" {
			continue // a virtual screen, or a server's console
		}
		out = append(out, fmt.Sprintf("A card of %s's (%s:%s) is at %s, and no driver drives it: install its driver",
			maker, vendor, hex(s.line(dir+"/device")), e.Name()))
	}
	return out
}
