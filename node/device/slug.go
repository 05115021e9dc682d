package device

import (
	"strconv"
	"strings"
	"unicode"
)

// maxName bounds, in bytes, the names that are read from drivers and users.
const maxName = 64

// noise are words that say who made or mounted a GPU, not which one it is.
var noise = map[string]bool{
	"nvidia": true, "geforce": true, "tesla": true, "quadro": true,
	"amd": true, "ati": true, "radeon": true, "instinct": true,
	"intel": true, "corporation": true, "inc": true, "apple": true, "r": true, "tm": true,
	"graphics": true, "gpu": true, "accelerator": true, "card": true, "edition": true, "generation": true,
	"sxm": true, "sxm2": true, "sxm3": true, "sxm4": true, "sxm5": true, "sxm6": true,
	"pcie": true, "oam": true,
	"hbm": true, "hbm2": true, "hbm2e": true, "hbm3": true, "hbm3e": true, "hbm4": true,
}

// variants are the words that people write onto the end of a number: "4070Ti".
var variants = map[string]bool{"ti": true, "super": true, "tisuper": true, "xt": true, "xtx": true, "gre": true}

// Slug turns a model's name into the name that people and the DHT use:
// "NVIDIA GeForce RTX 4090", "RTX4090" and "rtx-4090" are all "rtx-4090",
// "NVIDIA A100-SXM4-40GB" is "a100-40gb". It is "" for a name without an ASCII
// letter or digit. A card without a name is "amd-744c", after its PCI device ID.
// A slug is its own slug.
func Slug(model string) string {
	if len(model) > maxName {
		model = model[:maxName]
	}
	words := strings.FieldsFunc(strings.ToLower(model), func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	parts := meaningful(words)
	if len(parts) == 0 || unnamed(words) {
		parts = words
	}
	return strings.Join(joinSize(parts), "-")
}

// unnamed tells of a card that nobody but its maker's PCI device ID names:
// "amd 744c". The number alone could be another maker's.
func unnamed(words []string) bool {
	return len(words) == 2 && (words[0] == "amd" || words[0] == "intel") &&
		len(words[1]) == 4 && strings.Trim(words[1], "0123456789abcdef") == ""
}

// meaningful drops the noise, also what turns out to be noise once split.
func meaningful(words []string) []string {
	var parts []string
	for _, word := range words {
		if noise[word] {
			continue
		}
		for _, part := range split(word) {
			if !noise[part] {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

// joinSize makes "80gb" of "80", "gb".
func joinSize(parts []string) []string {
	var joined []string
	for _, part := range parts {
		if last := len(joined) - 1; part == "gb" && last >= 0 && isNumber(joined[last]) {
			joined[last] += part
			continue
		}
		joined = append(joined, part)
	}
	return joined
}

// split parts a series from its number and a number from its variant, as in
// "rtx4070ti"; "a100", "mi300x" and "80gb" stay whole.
func split(word string) []string {
	first := strings.IndexFunc(word, unicode.IsDigit)
	if first < 0 {
		return []string{word}
	}
	series, number, variant := word[:first], word[first:], ""
	if end := strings.IndexFunc(number, unicode.IsLetter); end >= 0 && variants[number[end:]] {
		number, variant = number[:end], number[end:]
	}
	var parts []string
	if len(series) >= 3 || series == "rx" {
		parts = append(parts, series)
		series = ""
	}
	parts = append(parts, series+number)
	switch variant {
	case "":
	case "tisuper":
		parts = append(parts, "ti", "super")
	default:
		parts = append(parts, variant)
	}
	return parts
}

// size reads the memory that a slug names: "a100-40gb" is ("a100", 40).
func size(slug string) (base string, gib int64) {
	cut := strings.LastIndexByte(slug, '-')
	if cut < 0 {
		return slug, 0
	}
	digits, found := strings.CutSuffix(slug[cut+1:], "gb")
	if !found || !isNumber(digits) || len(digits) > 5 {
		return slug, 0
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n == 0 {
		return slug, 0
	}
	return slug[:cut], n
}

func withoutSize(slug string) []string {
	if base, _ := size(slug); base != slug {
		return []string{slug, base}
	}
	return []string{slug}
}

func isNumber(word string) bool {
	return word != "" && strings.Trim(word, "0123456789") == ""
}
