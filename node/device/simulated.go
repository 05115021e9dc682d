package device

import (
	"context"
	"fmt"
	"strings"

	"souk/internal/quantity"
)

// knownVRAM is the memory of common GPUs in GiB, from their makers' data
// sheets, for entries that name none. Models sold in several sizes stand with
// their smallest.
var knownVRAM = map[string]int64{
	"gtx-1080-ti": 11, "rtx-2080-ti": 11,
	"rtx-3060": 12, "rtx-3060-ti": 8, "rtx-3070": 8, "rtx-3070-ti": 8, "rtx-3080": 10, "rtx-3080-ti": 12,
	"rtx-3090": 24, "rtx-3090-ti": 24,
	"rtx-4060": 8, "rtx-4060-ti": 8, "rtx-4070": 12, "rtx-4070-super": 12, "rtx-4070-ti": 12,
	"rtx-4070-ti-super": 16, "rtx-4080": 16, "rtx-4080-super": 16, "rtx-4090": 24,
	"rtx-5060": 8, "rtx-5060-ti": 8, "rtx-5070": 12, "rtx-5070-ti": 16, "rtx-5080": 16, "rtx-5090": 32,
	"rtx-a4000": 16, "rtx-a5000": 24, "rtx-a6000": 48, "rtx-6000-ada": 48,
	"t4": 16, "p100": 16, "v100": 16, "a10": 24, "a10g": 24, "a16": 16, "a30": 24, "a40": 48,
	"l4": 24, "l40": 48, "l40s": 48, "a100": 40, "h100": 80, "h200": 141, "b200": 180,
	"rx-6800-xt": 16, "rx-6900-xt": 16, "rx-7800-xt": 16, "rx-7900-xt": 20, "rx-7900-xtx": 24, "rx-9070-xt": 16,
	"mi100": 32, "mi210": 64, "mi250x": 128, "mi300x": 192, "mi325x": 256,
}

// ParseSimulated reads what a user writes after --simulate-gpu, an entry each:
// "RTX 4090:2", "H100 80GB", "Homemade 1@24GiB:4". The memory is what stands
// after @, else the size in the name, else that of a common model. Its errors
// are *SyntaxError.
func ParseSimulated(entries ...string) (Source, error) {
	var devices []Device
	numbers := map[string]int{}
	for _, entry := range entries {
		model, count, err := cutCount(entry)
		if err != nil {
			return nil, err
		}
		model, vram, err := cutVRAM(entry, model)
		if err != nil {
			return nil, err
		}
		if len(devices)+count > maxCount {
			return nil, malformed(entry, "a machine simulates at most %d GPUs in all", maxCount)
		}
		slug := Slug(model)
		for range count {
			id := fmt.Sprintf("simulated-%s-%d", slug, numbers[slug])
			numbers[slug]++
			devices = append(devices, Device{ID: id, Model: model, Slug: slug, VRAM: vram, Kind: Simulated})
		}
	}
	return simulated(devices), nil
}

// cutVRAM reads the "@24GiB" of "Homemade@24GiB", or finds the model's memory.
func cutVRAM(entry, name string) (model string, vram int64, err error) {
	model, amount, found := strings.Cut(name, "@")
	model = strings.TrimSpace(model)
	if err := checkName(entry, model); err != nil {
		return "", 0, err
	}
	if found {
		vram, err = quantity.Parse(amount)
		if err != nil {
			return "", 0, malformed(entry, "after @ stands its memory; %v", err)
		}
		if vram == 0 {
			return "", 0, malformed(entry, "a GPU has some memory; write it as in %s@24GiB", model)
		}
		return model, vram, nil
	}
	slug := Slug(model)
	_, gib := size(slug)
	if gib == 0 {
		gib = knownVRAM[slug]
	}
	if gib == 0 {
		return "", 0, malformed(entry, "the memory of this model isn't known; write it as in %s@24GiB", model)
	}
	return model, gib << 30, nil
}

type simulated []Device

func (s simulated) Name() string { return "simulated" }

func (s simulated) Devices(context.Context) ([]Device, error) {
	return append([]Device(nil), s...), nil
}
