package device

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
)

const gib = int64(1) << 30

func TestSlugNamesTheModelAndNotItsMaker(t *testing.T) {
	for model, want := range map[string]string{
		"RTX 4090":                                "rtx-4090",
		"RTX4090":                                 "rtx-4090",
		"rtx-4090":                                "rtx-4090",
		"NVIDIA GeForce RTX 4090":                 "rtx-4090",
		"NVIDIA H100 80GB HBM3":                   "h100-80gb",
		"NVIDIA H100 PCIe":                        "h100",
		"NVIDIA H100 NVL":                         "h100-nvl",
		"NVIDIA A100-SXM4-40GB":                   "a100-40gb",
		"NVIDIA A100-PCIE-80GB":                   "a100-80gb",
		"A100 80 GB":                              "a100-80gb",
		"Tesla V100-SXM2-16GB":                    "v100-16gb",
		"Tesla T4":                                "t4",
		"NVIDIA RTX A6000":                        "rtx-a6000",
		"NVIDIA RTX 6000 Ada Generation":          "rtx-6000-ada",
		"NVIDIA GeForce RTX 4070 Ti SUPER":        "rtx-4070-ti-super",
		"RTX4070TiSuper":                          "rtx-4070-ti-super",
		"RTX 4070Ti":                              "rtx-4070-ti",
		"NVIDIA GeForce RTX 3080 Laptop GPU":      "rtx-3080-laptop",
		"AMD Radeon RX 7900 XTX":                  "rx-7900-xtx",
		"RX7900XTX":                               "rx-7900-xtx",
		"AMD Instinct MI300X":                     "mi300x",
		"Intel(R) Arc(TM) A770 Graphics":          "arc-a770",
		"NVIDIA H100 80GB HBM3 MIG 1g.10gb":       "h100-80gb-mig-1g-10gb",
		"NVIDIA GeForce RTX 7090 Ti, out in 2029": "rtx-7090-ti-out-in-2029",
		"NVIDIA":                                  "nvidia",
		" -- ":                                    "",
		"型番":                                      "",
		"型番 T400":                                 "t400",
	} {
		require.Equal(t, want, Slug(model), model)
	}
}

func TestASlugIsItsOwnSlug(t *testing.T) {
	word := rapid.SampledFrom([]string{"RTX", "nvidia", "4090", "Ti", "80", "GB", "gb", "card5", "A100", " ", "-", "é", "sxm4", "x"})
	rapid.Check(t, func(t *rapid.T) {
		slug := Slug(strings.Join(rapid.SliceOfN(word, 0, 8).Draw(t, "words"), ""))
		require.Equal(t, slug, Slug(slug))
		require.Regexp(t, `^([a-z0-9]+(-[a-z0-9]+)*)?$`, slug)
	})
}

func TestParseNeed(t *testing.T) {
	for text, want := range map[string]Need{
		"":            {},
		"any":         {Count: 1},
		"ANY:3":       {Count: 3},
		"A100:2":      {Name: "A100", Slug: "a100", Count: 2},
		"A100-80GB:4": {Name: "A100-80GB", Slug: "a100-80gb", Count: 4},
		"RTX4090":     {Name: "RTX4090", Slug: "rtx-4090", Count: 1},
		" RTX 4090 ":  {Name: "RTX 4090", Slug: "rtx-4090", Count: 1},
	} {
		got, err := ParseNeed(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"A100:0": "from 1 to 64", "A100:65": "from 1 to 64", "A100:-1": "from 1 to 64", "A100:+1": "from 1 to 64",
		"A100:": "from 1 to 64", "A100:2:2": "from 1 to 64", ":2": "write a model", "--": "write a model",
		"型番": "plain ASCII", "A\x00": "plain ASCII", strings.Repeat("a", 65): "at most 64 bytes",
	} {
		_, err := ParseNeed(text)
		require.ErrorAs(t, err, new(*SyntaxError), text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestNeedMatches(t *testing.T) {
	dev := func(model string, vram int64) Device {
		return Device{Model: model, Slug: Slug(model), VRAM: vram, Kind: Claimed}
	}
	a40, a80 := dev("NVIDIA A100-SXM4-40GB", 40*gib), dev("NVIDIA A100-SXM4-80GB", 80*gib)
	pcie := dev("NVIDIA H100 PCIe", 79*gib+gib/2)
	for _, c := range []struct {
		need string
		d    Device
		want bool
	}{
		{"A100", a40, true},
		{"A100", a80, true},
		{"A100-80GB", a80, true},
		{"A100-80GB", a40, false},
		{"H100-80GB", pcie, true},
		{"H100-94GB", pcie, false},
		{"H100", pcie, true},
		{"RTX4090", dev("NVIDIA GeForce RTX 4090", 24*gib), true},
		{"rtx-4090", dev("RTX 4090", 24*gib), true},
		{"RTX 4090", dev("RTX4090", 24*gib), true},
		{"RTX 4070", dev("RTX 4070 Ti", 12*gib), false},
		{"RTX 4090", dev("RTX 4090 Laptop GPU", 16*gib), false},
		{"A10", a40, false},
		{"any", a40, true},
		{"", a40, false},
	} {
		need, err := ParseNeed(c.need)
		require.NoError(t, err)
		require.Equal(t, c.want, need.Match(c.d), "%s against %s", c.need, c.d.Model)
	}
	require.True(t, Need{Count: 1, VRAM: 80 * gib}.Match(a80))
	require.False(t, Need{Count: 1, VRAM: 80*gib + 1}.Match(a80))
}

func TestASimulatedDeviceIsNeverTakenUnasked(t *testing.T) {
	d := Device{Slug: "rtx-4090", VRAM: 24 * gib, Kind: Simulated}
	require.False(t, Need{Count: 1}.Match(d))
	require.False(t, Need{Slug: "rtx-4090", Count: 1}.Match(d))
	require.True(t, Need{Slug: "rtx-4090", Count: 1, AllowSimulated: true}.Match(d))
}

// Whoever looks under a need's names finds every device that the need matches.
func TestLookupMeetsAdvertisement(t *testing.T) {
	models := []string{"A100", "A100 40GB", "A100 80GB", "RTX 4090", "H100 PCIe"}
	for _, wanted := range models {
		need, err := ParseNeed(wanted)
		require.NoError(t, err)
		for _, model := range models {
			d := Device{Model: model, Slug: Slug(model), VRAM: 80 * gib, Kind: Claimed}
			if need.Match(d) {
				require.Subset(t, append(need.Slugs(), d.Slugs()...), []string{Slug(wanted)})
				require.True(t, overlap(need.Slugs(), d.Slugs()), "%s is not found by %s", model, wanted)
			}
		}
	}
}

func overlap(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

func TestParseSimulated(t *testing.T) {
	source, err := ParseSimulated("RTX 4090:2", "H100 80GB", "Homemade 1@1.5GiB", "NVIDIA GeForce RTX 4090@23GiB")
	require.NoError(t, err)
	devices, err := source.Devices(context.Background())
	require.NoError(t, err)
	require.Equal(t, []Device{
		{ID: "simulated-rtx-4090-0", Model: "RTX 4090", Slug: "rtx-4090", VRAM: 24 * gib, Kind: Simulated},
		{ID: "simulated-rtx-4090-1", Model: "RTX 4090", Slug: "rtx-4090", VRAM: 24 * gib, Kind: Simulated},
		{ID: "simulated-h100-80gb-0", Model: "H100 80GB", Slug: "h100-80gb", VRAM: 80 * gib, Kind: Simulated},
		{ID: "simulated-homemade-1-0", Model: "Homemade 1", Slug: "homemade-1", VRAM: gib + gib/2, Kind: Simulated},
		{ID: "simulated-rtx-4090-2", Model: "NVIDIA GeForce RTX 4090", Slug: "rtx-4090", VRAM: 23 * gib, Kind: Simulated},
	}, devices)
	for text, want := range map[string]string{
		"Homemade":     `write it as in Homemade@24GiB`,
		"Homemade@":    "is not a size",
		"Homemade@0":   "some memory",
		"Homemade@-1":  "negative",
		"RTX 4090:99":  "from 1 to 64",
		"":             "write a model",
		"RTX\t4090":    "plain ASCII",
		"@24GiB":       "write a model",
		"RTX 4090:two": "from 1 to 64",
	} {
		_, err := ParseSimulated(text)
		require.ErrorAs(t, err, new(*SyntaxError), text)
		require.ErrorContains(t, err, want, text)
	}
	_, err = ParseSimulated("RTX 4090:40", "RTX 3090:40")
	require.ErrorContains(t, err, "at most 64 GPUs")
}

func TestTheTableIsKeyedBySlug(t *testing.T) {
	for slug := range knownVRAM {
		require.Equal(t, slug, Slug(slug))
	}
}

type fixed struct {
	name    string
	devices []Device
	err     error
}

func (f fixed) Name() string                              { return f.name }
func (f fixed) Devices(context.Context) ([]Device, error) { return f.devices, f.err }

func TestDetectKeepsWhatTheOtherSourcesFound(t *testing.T) {
	broken := errors.New("driver and library differ in version")
	good := Device{ID: "GPU-1", Model: "NVIDIA GeForce RTX 4090", VRAM: 24 * gib, Kind: Claimed}
	again := good
	again.Model = "the same through another driver"
	devices, err := Detect(context.Background(),
		fixed{name: "nvml", err: broken},
		fixed{name: "opencl", devices: []Device{good, {ID: "GPU-2", Model: "T4", VRAM: -1, Kind: Claimed}}},
		fixed{name: "other", devices: []Device{again}})
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "nvml")
	require.ErrorContains(t, err, "GPU-2 has -1 bytes of memory")
	good.Slug, good.Source = "rtx-4090", "opencl"
	require.Equal(t, []Device{good}, devices)
}

func TestGroups(t *testing.T) {
	source, err := ParseSimulated("RTX 4090", "A100:2", "RTX 4090")
	require.NoError(t, err)
	devices, err := Detect(context.Background(), source)
	require.NoError(t, err)
	require.Equal(t, []Group{
		{Model: "A100", Slug: "a100", VRAM: 40 * gib, Kind: Simulated, Count: 2},
		{Model: "RTX 4090", Slug: "rtx-4090", VRAM: 24 * gib, Kind: Simulated, Count: 2},
	}, Groups(devices))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"RTX 4090:2", "A100-80GB:4", "any", "x@1.5GiB:3", "@:", "::", "a@b@c", "\xff:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fuzztest.Bound(t)
		need, err := ParseNeed(text)
		if err != nil {
			require.ErrorAs(t, err, new(*SyntaxError))
		} else {
			again, err := ParseNeed(strings.ReplaceAll(need.String(), "no GPU", ""))
			require.NoError(t, err)
			require.Equal(t, need, again)
		}
		if _, err := ParseSimulated(text); err != nil {
			require.ErrorAs(t, err, new(*SyntaxError))
		}
	})
}
