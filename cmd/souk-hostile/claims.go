package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"souk/protocol/market"
)

// parsePrice reads "0.10/h" as an amount of the unit of account per hour.
func parsePrice(text string) (market.Amount, error) {
	wrong := fmt.Errorf("price %q must look like 0.10/h, with at most six decimals", text)
	number := strings.TrimSuffix(text, "/h")
	whole, fraction, _ := strings.Cut(number, ".")
	if whole == "" || len(fraction) > 6 {
		return market.Amount{}, wrong
	}
	digits := strings.TrimLeft(whole+fraction+strings.Repeat("0", 6-len(fraction)), "0")
	if digits == "" {
		digits = "0"
	}
	a, err := market.ParseAmount(digits)
	if err != nil {
		return market.Amount{}, wrong
	}
	return a, nil
}

// parseGPU reads "RTX 4090" or "RTX 4090:2"; empty is no GPU.
func parseGPU(text string, gib int, evidence string) (market.Device, error) {
	if text == "" {
		return market.Device{}, nil
	}
	model, number, counted := strings.Cut(text, ":")
	count := 1
	if counted {
		n, err := strconv.Atoi(number)
		if err != nil {
			return market.Device{}, fmt.Errorf(`GPU %q must look like "RTX 4090:2"`, text)
		}
		count = n
	}
	d := market.Device{Model: strings.TrimSpace(model), Slug: slugOf(model), VRAM: int64(gib) << 30, Count: count, Evidence: evidence}
	switch {
	case d.Slug == "" || len(d.Slug) > 64 || count < 1 || count > market.MaxGPUs || gib < 1 || gib > 1024:
		return market.Device{}, fmt.Errorf(`GPU %q of %d GiB must look like "RTX 4090:2", with 1 to 1024 GiB`, text, gib)
	case !slices.Contains([]string{market.Measured, market.Claimed, market.Simulated}, evidence):
		return market.Device{}, fmt.Errorf("--evidence %q must be simulated, claimed or measured", evidence)
	}
	return d, nil
}

// slugOf joins the words of a model's name by hyphens, like rtx-4090.
func slugOf(model string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(model), func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), "-")
}
