package sysfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/node/device"
)

const gib = int64(1) << 30

// tree reads a recorded tree: "-- path --", then the file.
func tree(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	require.NoError(t, err)
	out := fstest.MapFS{}
	file := ""
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(path, " --") {
			file = strings.TrimSuffix(path, " --")
			out[file] = &fstest.MapFile{}
		} else if file != "" {
			out[file].Data = append(out[file].Data, line...)
		}
	}
	return out
}

func list(t *testing.T, name string) (*Source, []device.Device) {
	t.Helper()
	s := New(tree(t, name))
	devices, err := device.Detect(t.Context(), s)
	require.NoError(t, err)
	return s, devices
}

func use(t *testing.T, s *Source, d device.Device) device.Use {
	t.Helper()
	u, err := s.Use(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, d.ID, u.ID)
	return u
}

func codes(d device.Device) (out []device.Code) {
	for _, o := range d.Obstacles {
		out = append(out, o.Code)
	}
	return out
}

func TestADesktopsCardIsOfferedAndItsScreenIsNot(t *testing.T) {
	s, devices := list(t, "desktop-7900xtx")
	require.Len(t, devices, 2)
	require.Equal(t, device.Device{
		ID: "pci-0000:03:00.0", Model: "AMD Radeon RX 7900 XTX", Slug: "rx-7900-xtx", VRAM: 25753026560, Kind: device.Claimed,
		Vendor: "amd", Driver: "amdgpu", Bus: "0000:03:00.0", Source: Name, Detail: device.Detail{
			Compute: "gfx1100", PCIeGen: 4, PCIeWidth: 16, PowerLimit: 303, Nodes: []string{"/dev/dri/renderD128", "/dev/kfd"},
		},
	}, devices[0])
	require.Equal(t, device.Use{ID: devices[0].ID, Utilisation: 1, Memory: 27090944, Celsius: 38, Watts: 18}, use(t, s, devices[0]))

	own := devices[1]
	require.Equal(t, "pci-0000:0f:00.0", own.ID)
	require.Equal(t, gib/2, own.VRAM)
	require.Equal(t, "gfx1036", own.Detail.Compute)
	require.Equal(t, []device.Code{device.Display}, codes(own))
	require.Contains(t, own.Obstacles[0].Text, "plugged into HDMI-A-2")
	require.Equal(t, []device.Process{{PID: 4242, Memory: 20 << 20}}, use(t, s, own).Processes)
}

func TestAServersAcceleratorsKnowTheirPeers(t *testing.T) {
	s, devices := list(t, "server-mi300x")
	require.Len(t, devices, 2)
	for i, d := range devices {
		require.Equal(t, "mi300x", d.Slug)
		require.Equal(t, int64(206141652992), d.VRAM)
		require.Equal(t, "amdgpu 6.10.5", d.Driver)
		require.Equal(t, "gfx942", d.Detail.Compute)
		require.Equal(t, 5, d.Detail.PCIeGen)
		require.Equal(t, 750, d.Detail.PowerLimit)
		require.Equal(t, []string{devices[1-i].ID}, d.Detail.Peers)
		require.Empty(t, d.Obstacles, "errors that were corrected are none")
	}
	require.Equal(t, "0001:26:00.0", devices[1].Bus)
	require.Equal(t, device.Use{
		ID: devices[1].ID, Utilisation: 100, Memory: 193273528320, Celsius: 71, Watts: 741,
		Processes: []device.Process{{PID: 77, Memory: 193000000000}, {PID: 78, Memory: 4096}},
	}, use(t, s, devices[1]))
}

func TestIntelsCardsAreNamedAndTheirMemoryReadWhereItIsTold(t *testing.T) {
	s, devices := list(t, "workstation-intel")
	require.Len(t, devices, 3)
	for i, want := range []struct {
		slug, driver string
		vram         int64
		codes        []device.Code
	}{
		{"uhd-770", "i915", 0, []device.Code{device.NoMemory, device.Display}},
		{"arc-a770", "i915", 17095983104, nil},
		{"intel-e20b", "xe", 0, nil},
	} {
		require.Equal(t, want.slug, devices[i].Slug, devices[i].Model)
		require.Equal(t, want.vram, devices[i].VRAM)
		require.Equal(t, want.driver, devices[i].Driver)
		require.Equal(t, want.codes, codes(devices[i]))
		require.Equal(t, "intel", devices[i].Vendor)
	}
	require.Equal(t, 47, use(t, s, devices[1]).Celsius)
}

// Without memory it isn't offered, and what another source tells is enough.
func TestMemoryThatTheKernelDoesntTellComesFromElsewhere(t *testing.T) {
	s := New(tree(t, "workstation-intel"))
	findings, err := device.NewInventory(device.Options{}, s).Look(t.Context())
	require.NoError(t, err)
	require.Equal(t, device.NoMemory, findings[2].Obstacles[0].Code)
	opencl := teller{
		{ID: "pci-0000:07:00.0", Model: "Intel(R) Arc(TM) B580 Graphics", VRAM: 12 * gib, Kind: device.Claimed},
		{ID: "pci-0000:00:02.0", Model: "Intel(R) UHD Graphics 770", VRAM: 24 * gib, Kind: device.Claimed}, // the machine's own memory
	}
	v := device.NewInventory(device.Options{}, s, opencl)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	findings, err = v.Look(t.Context())
	require.NoError(t, err)
	require.Len(t, findings, 3)
	require.Zero(t, findings[0].Device.VRAM)
	require.False(t, findings[0].Offered())
	require.True(t, findings[2].Offered())
	require.Equal(t, 12*gib, findings[2].Device.VRAM)
	require.Equal(t, "pci-0000:07:00.0", findings[2].Device.ID)
}

func TestACardThatNobodyKnowsIsStillLeased(t *testing.T) {
	_, devices := list(t, "odd")
	require.Len(t, devices, 4)
	unknown, foreign, old, broken := devices[0], devices[1], devices[2], devices[3]
	require.Equal(t, "AMD 7fff", unknown.Model)
	require.Equal(t, "amd-7fff", unknown.Slug)
	require.Equal(t, "pci-0000:03:00.0", unknown.ID)
	require.Equal(t, "gfx1250", unknown.Detail.Compute)
	require.Empty(t, unknown.Obstacles)

	require.Equal(t, "PCI 1ed5:0222", foreign.Model)
	require.Equal(t, "pci-1ed5-0222", foreign.Slug)
	require.Equal(t, "1ed5", foreign.Vendor)
	require.Equal(t, "0000:0a:00.0", foreign.Bus)

	require.Equal(t, "amd-67df", old.Slug, "its chip is on many cards")
	require.Equal(t, []device.Code{device.OldDriver, device.Display}, codes(old))

	require.Equal(t, "mi300x", broken.Slug[len(broken.Slug)-6:])
	require.NotContains(t, broken.Model, "\x1b")
	require.Equal(t, []device.Code{device.Faulty}, codes(broken))
	require.Contains(t, broken.Obstacles[0].Text, "2 errors")
}

func TestConsolesAndOthersCardsAreLeftOut(t *testing.T) {
	s, devices := list(t, "server-none")
	require.Empty(t, devices)
	require.Equal(t, []string{
		"AMD and Intel: /sys/class/drm lists no card of theirs; the kernel's drivers are amdgpu, i915 and xe",
		"A card of NVIDIA's (10de:2684) is at 0000:2a:00.0, and no driver drives it: install its driver",
		"A card of AMD's (1002:744c) is at 0000:3b:00.0, and no driver drives it: install its driver",
	}, s.Explain())
}

func TestAMachineWithoutAnyOfItHasNone(t *testing.T) {
	s := New(fstest.MapFS{})
	devices, err := s.Devices(t.Context())
	require.NoError(t, err)
	require.Empty(t, devices)
	require.Contains(t, s.Explain()[0], "/sys/class/drm is not here")
	_, err = s.Use(t.Context(), device.Device{Bus: "0000:03:00.0"})
	require.Error(t, err)

	_, err = Here().Devices(t.Context())
	require.NoError(t, err, "whatever this machine has")
}

func TestACardThatIsPulledOutHasNoUse(t *testing.T) {
	files := tree(t, "desktop-7900xtx")
	s := New(files)
	devices, err := s.Devices(t.Context())
	require.NoError(t, err)
	for name := range files {
		if strings.HasPrefix(name, "sys/class/drm/card0/") {
			delete(files, name)
		}
	}
	_, err = s.Use(t.Context(), devices[0])
	require.Error(t, err)
	left, err := s.Devices(t.Context())
	require.NoError(t, err)
	require.Len(t, left, 1)
}

// What a driver writes is a driver's word: nothing in it may break the reader.
func FuzzCard(f *testing.F) {
	f.Add("0x1002", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0", "simd_count 4\nlocation_id 768\ngfx_target_version 110000", "744C,\tC8,\tAMD Radeon RX 7900 XTX", "25753026560")
	f.Add("0x8086", "DRIVER=\nPCI_SLOT_NAME=", "simd_count -1\nlocation_id 99999999999999999999", ",,,", "-1")
	f.Add("\x00", "=", "\n\n", "744c,c8,\xff\xfe", "9223372036854775807")
	f.Fuzz(func(t *testing.T, vendor, uevent, properties, ids, vram string) {
		fuzztest.Bound(t)
		files := tree(t, "desktop-7900xtx")
		files["sys/class/drm/card0/device/vendor"].Data = []byte(vendor)
		files["sys/class/drm/card0/device/uevent"].Data = []byte(uevent)
		files["sys/class/drm/card0/device/mem_info_vram_total"].Data = []byte(vram)
		files[topology+"/1/properties"].Data = []byte(properties)
		files[topology+"/1/mem_banks/0/properties"].Data = []byte("heap_type 1\nsize_in_bytes " + vram)
		files[amdgpuIDs].Data = []byte(ids)
		s := New(files)
		devices, err := s.Devices(t.Context())
		require.NoError(t, err)
		for _, d := range devices {
			require.GreaterOrEqual(t, d.VRAM, int64(0))
			require.NotEmpty(t, d.Model)
			_, _ = s.Use(t.Context(), d)
		}
	})
}
