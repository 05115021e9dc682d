package device

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// reported are names as drivers and the kernel report them, each with what
// people write after --gpu for it.
var reported = map[string]string{
	"NVIDIA GeForce GTX 1080 Ti":                        "GTX 1080 Ti",
	"NVIDIA GeForce GTX 1660 SUPER":                     "GTX1660Super",
	"NVIDIA GeForce RTX 2080 Ti":                        "RTX2080Ti",
	"NVIDIA GeForce RTX 3060":                           "rtx 3060",
	"NVIDIA GeForce RTX 3060 Ti":                        "RTX3060Ti",
	"NVIDIA GeForce RTX 3090":                           "RTX3090",
	"NVIDIA GeForce RTX 3090 Ti":                        "RTX 3090Ti",
	"NVIDIA GeForce RTX 4060 Laptop GPU":                "RTX 4060 Laptop",
	"NVIDIA GeForce RTX 4070 SUPER":                     "RTX4070Super",
	"NVIDIA GeForce RTX 4070 Ti":                        "RTX4070Ti",
	"NVIDIA GeForce RTX 4070 Ti SUPER":                  "RTX4070TiSuper",
	"NVIDIA GeForce RTX 4090":                           "RTX4090",
	"NVIDIA GeForce RTX 4090 D":                         "RTX 4090 D",
	"NVIDIA GeForce RTX 5070 Ti":                        "RTX5070Ti",
	"NVIDIA GeForce RTX 5090":                           "RTX5090",
	"NVIDIA GeForce RTX 6090":                           "RTX6090",
	"NVIDIA TITAN RTX":                                  "Titan RTX",
	"NVIDIA TITAN V":                                    "Titan V",
	"Tesla T4":                                          "T4",
	"Tesla P40":                                         "P40",
	"Tesla P100-PCIE-16GB":                              "P100-16GB",
	"Tesla V100-SXM2-32GB":                              "V100-32GB",
	"Tesla V100S-PCIE-32GB":                             "V100S-32GB",
	"Quadro RTX 8000":                                   "RTX 8000",
	"NVIDIA RTX A4000":                                  "RTX A4000",
	"NVIDIA RTX A6000":                                  "RTX A6000",
	"NVIDIA RTX 4000 SFF Ada Generation":                "RTX 4000 SFF Ada",
	"NVIDIA RTX 6000 Ada Generation":                    "RTX 6000 Ada",
	"NVIDIA RTX PRO 6000 Blackwell Workstation Edition": "RTX PRO 6000 Blackwell Workstation",
	"NVIDIA A2":                                         "A2",
	"NVIDIA A10":                                        "A10",
	"NVIDIA A10G":                                       "A10G",
	"NVIDIA A16":                                        "A16",
	"NVIDIA A30":                                        "A30",
	"NVIDIA A40":                                        "A40",
	"NVIDIA A100-PCIE-40GB":                             "A100-40GB",
	"NVIDIA A100-SXM4-40GB":                             "A100-40GB",
	"NVIDIA A100 80GB PCIe":                             "A100-80GB",
	"NVIDIA A100-SXM4-80GB":                             "A100-80GB",
	"NVIDIA A800-SXM4-80GB":                             "A800-80GB",
	"NVIDIA L4":                                         "L4",
	"NVIDIA L40":                                        "L40",
	"NVIDIA L40S":                                       "L40S",
	"NVIDIA H100 PCIe":                                  "H100",
	"NVIDIA H100 NVL":                                   "H100 NVL",
	"NVIDIA H100 80GB HBM3":                             "H100-80GB",
	"NVIDIA H200":                                       "H200",
	"NVIDIA H200 NVL":                                   "H200 NVL",
	"NVIDIA B200":                                       "B200",
	"NVIDIA GH200 480GB":                                "GH200-480GB",
	"NVIDIA GB200":                                      "GB200",
	"NVIDIA GB10":                                       "GB10",
	"NVIDIA H100 80GB HBM3 MIG 3g.40gb":                 "H100-80GB MIG 3g.40gb",
	"NVIDIA A100-SXM4-40GB MIG 1g.5gb":                  "A100-40GB MIG 1g.5gb",
	"AMD Radeon RX 6700 XT":                             "RX6700XT",
	"AMD Radeon RX 6800 XT":                             "RX 6800XT",
	"AMD Radeon RX 6900 XT":                             "RX6900XT",
	"AMD Radeon RX 7600":                                "RX7600",
	"AMD Radeon RX 7900 GRE":                            "RX7900GRE",
	"AMD Radeon RX 7900 XT":                             "RX7900XT",
	"AMD Radeon RX 7900 XTX":                            "RX7900XTX",
	"AMD Radeon RX 9070 XT":                             "RX9070XT",
	"AMD Radeon PRO W7900":                              "Pro W7900",
	"AMD Radeon VII":                                    "VII",
	"AMD Instinct MI50/MI60":                            "MI50 MI60",
	"AMD Instinct MI100":                                "MI100",
	"AMD Instinct MI210":                                "MI210",
	"AMD Instinct MI250X / MI250":                       "MI250X MI250",
	"AMD Instinct MI300X":                               "MI300X",
	"AMD Instinct MI300X OAM":                           "MI300X",
	"AMD INSTINCT MI325X":                               "MI325X",
	"AMD 744c":                                          "amd-744c",
	"AMD 74a1":                                          "AMD 74a1",
	"Intel(R) Arc(TM) A380 Graphics":                    "Arc A380",
	"Intel(R) Arc(TM) A770 Graphics":                    "Arc A770",
	"Intel(R) Arc(TM) B580 Graphics":                    "arc-b580",
	"Intel(R) Data Center GPU Max 1550":                 "data center max 1550",
	"Intel(R) Data Center GPU Flex 170":                 "data-center-flex-170",
	"Intel e20b":                                        "intel-e20b",
}

func TestPeopleFindEveryModelThatDriversReport(t *testing.T) {
	for name, asked := range reported {
		need, err := ParseNeed(asked)
		require.NoError(t, err, asked)
		require.True(t, need.Match(Device{Model: name, Slug: Slug(name), VRAM: gib, Kind: Claimed}), "%s (%s) by %s", name, Slug(name), need.Slug)
	}
}

// Cases, blanks and makers' names say nothing about which GPU it is; and two
// names that differ in a number or a letter of it never become one.
func TestASlugKeepsWhatTellsModelsApart(t *testing.T) {
	names := make([]string, 0, len(reported))
	for name := range reported {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		slug := Slug(name)
		require.Equal(t, slug, Slug(slug))
		require.Equal(t, slug, Slug(strings.ToUpper(name)))
		require.Equal(t, slug, Slug(strings.ReplaceAll(name, " ", "  ")))
		require.Equal(t, slug, Slug(strings.ReplaceAll(name, " ", "-")))

		other := rapid.SampledFrom(names).Draw(t, "other")
		if bare(name) != bare(other) {
			require.NotEqual(t, slug, Slug(other), "%s and %s", name, other)
		}
	})
}

// bare is the name without what only says who built it in.
func bare(name string) string {
	for _, word := range []string{"nvidia", "geforce", "tesla", "quadro", "amd", "radeon", "instinct", "sxm4", "pcie", "oam", "hbm3", "generation", "edition", "graphics", "gpu"} {
		name = strings.ReplaceAll(strings.ToLower(name), word, "")
	}
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }), "")
}

// A GPU that comes out tomorrow: series, number and variant are all it takes.
func TestAModelOfTomorrowNeedsNoTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		series := rapid.SampledFrom([]string{"RTX", "GTX", "RX", "Arc"}).Draw(t, "series")
		number := rapid.IntRange(1000, 99999).Draw(t, "number")
		variant := rapid.SampledFrom([]string{"", "Ti", "SUPER", "XT", "XTX"}).Draw(t, "variant")
		full := strings.TrimSpace(fmt.Sprintf("NVIDIA GeForce %s %d %s", series, number, variant))
		short := fmt.Sprintf("%s%d%s", series, number, variant)
		want := strings.ToLower(strings.TrimSuffix(fmt.Sprintf("%s-%d-%s", series, number, variant), "-"))
		require.Equal(t, want, Slug(full))
		require.Equal(t, want, Slug(short))
	})
}
