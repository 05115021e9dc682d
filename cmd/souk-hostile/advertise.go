package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
)

const (
	provideTimeout = 30 * time.Second
	provideAgain   = time.Second // after a failure
)

// tierOf is the largest tier of DESIGN §7 that vram bytes reach nine tenths of.
func tierOf(vram int64) int {
	tier := 0
	for _, t := range []int{8, 12, 16, 24, 32, 48, 80, 141} {
		if vram*10 >= int64(t)<<30*9 {
			tier = t
		}
	}
	return tier
}

// cellKeys are what a provider at depth 0 advertises (DESIGN §7): each of its
// keys at depth 0 and, in its shard, at depth 1.
func cellKeys(network, region string, vram int64, slug string, id peer.ID) []string {
	bases := []string{"all", fmt.Sprintf("cell/any/%d", tierOf(vram))}
	if region != "" && region != "any" {
		bases = append(bases, fmt.Sprintf("cell/%s/%d", region, tierOf(vram)))
	}
	if slug != "" {
		bases = append(bases, "model/"+slug)
	}
	shard := sha256.Sum256([]byte(id))[0] >> 7
	var keys []string
	for _, b := range bases {
		b = "/souk/1/" + network + "/" + b
		keys = append(keys, b+"/0/0", fmt.Sprintf("%s/1/%d", b, shard))
	}
	return keys
}

// advertise keeps the keys in the DHT until ctx ends; first is called once,
// when all of them were stored for the first time.
func advertise(ctx context.Context, d *dht.IpfsDHT, keys []string, every time.Duration, first func()) {
	for {
		pause := every
		if err := provideAll(ctx, d, keys); err != nil {
			pause = provideAgain
		} else if first != nil {
			first()
			first = nil
		}
		if !wait(ctx, pause) {
			return
		}
	}
}

func provideAll(ctx context.Context, d *dht.IpfsDHT, keys []string) error {
	for _, k := range keys {
		one, cancel := context.WithTimeout(ctx, provideTimeout)
		err := d.Provide(one, rawCID(market.BlockHash([]byte(k))), true)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
