package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Stand is where a provider stands in the market.
type Stand struct {
	Network string
	Region  string   // one of Regions; "" or AnyRegion: only in AnyRegion
	Tier    int      // of its largest free device
	Models  []string // slugs of the device models it has
	Depth   int      // 0 to MaxDepth
}

// Keys are what the provider advertises: each of its keys at its depth and the
// next, and at depth 0 where the day's sample has it.
func (s Stand) Keys(id peer.ID, day time.Time) ([]Key, error) {
	here, err := PlaceOf(id, s.Depth)
	if err != nil {
		return nil, err
	}
	bases, err := s.bases(here)
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, k := range bases {
		keys = append(keys, k)
		if below, err := PlaceOf(id, s.Depth+1); err == nil { // none under MaxDepth
			keys = append(keys, k.At(below))
		}
		if s.Depth > 0 && sampled(id, k, day, s.Depth) {
			keys = append(keys, k.At(Place{}))
		}
	}
	return keys, nil
}

func (s Stand) bases(at Place) ([]Key, error) {
	all, err := AllKey(s.Network, at)
	if err != nil {
		return nil, err
	}
	keys := []Key{all}
	regions := []string{AnyRegion}
	if s.Region != "" && s.Region != AnyRegion {
		regions = append(regions, s.Region)
	}
	for _, r := range regions {
		k, err := CellKey(s.Network, r, s.Tier, at)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	for _, m := range s.Models {
		k, err := ModelKey(s.Network, m, at)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// CellKeys are the keys to look under for the given tiers in a region ("" is AnyRegion).
func CellKeys(network, region string, tiers []int, at Place) ([]Key, error) {
	if region == "" {
		region = AnyRegion
	}
	keys := make([]Key, 0, len(tiers))
	for _, t := range tiers {
		k, err := CellKey(network, region, t, at)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}
