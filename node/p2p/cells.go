package p2p

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"

	"souk/internal/pattern"
)

// MaxDepth is the deepest that a key's providers are split, into 2¹² shards.
const MaxDepth = 12

// AnyRegion is the region that every provider stands in.
const AnyRegion = "any"

// Regions are those that a provider can name, besides AnyRegion.
func Regions() []string { return []string{"eu", "na", "ap", "sa", "me", "af"} }

// Tiers are the sizes of device memory that cells are made for, in GiB,
// rising; 0 is no GPU.
func Tiers() []int { return []int{0, 8, 12, 16, 24, 32, 48, 80, 141} }

// TierOf is the largest tier t for which vram (bytes) is at least 0.9·t GiB.
func TierOf(vram uint64) int {
	tier := 0
	for _, t := range Tiers() {
		if need := (uint64(t)<<30*9 + 9) / 10; vram >= need { // rounded up
			tier = t
		}
	}
	return tier
}

// TiersFrom are the tiers in which a device with at least vram bytes can stand.
func TiersFrom(vram uint64) []int {
	tiers := Tiers()
	return tiers[slices.Index(tiers, TierOf(vram)):]
}

// Place is a shard of the peers at a depth: those whose SHA-256(peer ID) begins
// with the shard's bits. The zero Place has all peers.
type Place struct {
	depth int
	shard uint16
}

// PlaceOf is where a peer stands at a depth of 0 to MaxDepth.
func PlaceOf(id peer.ID, depth int) (Place, error) {
	if depth < 0 || depth > MaxDepth {
		return Place{}, fmt.Errorf("%w: depth %d is not in 0 to %d", ErrKey, depth, MaxDepth)
	}
	return Place{depth: depth, shard: shardOf(id, depth)}, nil
}

func shardOf(id peer.ID, depth int) uint16 {
	sum := sha256.Sum256([]byte(id))
	return uint16(uint32(binary.BigEndian.Uint16(sum[:2])) >> (16 - depth))
}

// Depth is how many bits the place fixes.
func (p Place) Depth() int { return p.depth }

// Shard is the value of these bits.
func (p Place) Shard() int { return int(p.shard) }

// Holds tells whether the peer stands in the place.
func (p Place) Holds(id peer.ID) bool { return shardOf(id, p.depth) == p.shard }

// Key is one thing that a provider advertises in the DHT and a client looks for.
type Key struct {
	base  string
	place Place
}

// String is the key's text, as DESIGN §7 has it.
func (k Key) String() string {
	return k.base + "/" + strconv.Itoa(k.place.depth) + "/" + strconv.Itoa(int(k.place.shard))
}

// CID is CIDv1(raw, sha2-256) of the key's text.
func (k Key) CID() cid.Cid {
	sum := sha256.Sum256([]byte(k.String()))
	digest, err := mh.Encode(sum[:], mh.SHA2_256)
	if err != nil {
		panic(err) // only unknown hash codes are refused
	}
	return cid.NewCidV1(cid.Raw, digest)
}

// Place is the shard that the key is for; a peer outside it has no business there.
func (k Key) Place() Place { return k.place }

// At is the same key at another place.
func (k Key) At(p Place) Key { return Key{base: k.base, place: p} }

// CellKey is the key of the providers in a region (or AnyRegion) whose largest
// free device is of a tier.
func CellKey(network, region string, tier int, at Place) (Key, error) {
	if region != AnyRegion && !slices.Contains(Regions(), region) {
		return Key{}, fmt.Errorf("%w: region %.20q is none of %v or %q", ErrKey, region, Regions(), AnyRegion)
	}
	if !slices.Contains(Tiers(), tier) {
		return Key{}, fmt.Errorf("%w: tier %d is none of %v GiB", ErrKey, tier, Tiers())
	}
	return newKey(network, "cell/"+region+"/"+strconv.Itoa(tier), at)
}

var slug = pattern.Lazy(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// maxSlug is the longest slug, in bytes.
const maxSlug = 64

// ModelKey is the key of the providers that have a device model, by its slug
// (like rtx-4090).
func ModelKey(network, model string, at Place) (Key, error) {
	if len(model) > maxSlug || !slug().MatchString(model) {
		return Key{}, fmt.Errorf("%w: model slug %.70q must be words of a-z and 0-9 joined by hyphens, at most %d bytes (like rtx-4090)", ErrKey, model, maxSlug)
	}
	return newKey(network, "model/"+model, at)
}

// AllKey is the key of all providers of a network.
func AllKey(network string, at Place) (Key, error) { return newKey(network, "all", at) }

func newKey(network, what string, at Place) (Key, error) {
	if err := CheckNetwork(network); err != nil {
		return Key{}, err
	}
	return Key{base: "/souk/1/" + network + "/" + what, place: at}, nil
}

// sampled tells whether a provider that stands at a depth is also among the
// few that stand at depth 0 of the key on a UTC day, for readers who know
// nothing yet. depth is 0 to MaxDepth; at 0 everybody is.
func sampled(id peer.ID, k Key, day time.Time, depth int) bool {
	h := sha256.New()
	h.Write([]byte(id))
	h.Write([]byte(k.At(Place{}).String()))
	h.Write([]byte(day.UTC().Format(time.DateOnly)))
	first := binary.BigEndian.Uint16(h.Sum(nil)[:2])
	return uint32(first)>>(16-depth) == 0
}
