package p2p

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// knownPeer is the peer of the secp256k1 private key 1. The answers below were
// computed apart from this code, with Python's hashlib and base64.
const knownPeer = "16Uiu2HAm3cuhhRL2msUuLF62KRSfneFDx94RsuouyW25Ho42cFMq"

func known(t testing.TB) peer.ID {
	t.Helper()
	id, err := peer.Decode(knownPeer)
	require.NoError(t, err)
	return id
}

func TestKeysKnownAnswers(t *testing.T) {
	must := func(k Key, err error) Key {
		require.NoError(t, err)
		return k
	}
	for _, c := range []struct {
		key  Key
		text string
		cid  string
	}{
		{must(AllKey("souk", Place{})), "/souk/1/souk/all/0/0", "bafkreidnv3o26s4ljtlmat7vsdtsvn3ka7f3prkn3ak33hkg5wn6m27mmy"},
		{must(CellKey("souk", "eu", 24, Place{})), "/souk/1/souk/cell/eu/24/0/0", "bafkreigqnj2xgh6xoxeimr6dnftjqjhgabbais6fkeeniegn5itrfoiwpq"},
		{must(CellKey("souk", "any", 0, Place{depth: 3, shard: 5})), "/souk/1/souk/cell/any/0/3/5", "bafkreidk7d5uwbne5xr7eblwm3wkthuf2f7fvafbrud5xljx44bdsgazee"},
		{must(ModelKey("my-net", "rtx-4090", Place{depth: 1, shard: 1})), "/souk/1/my-net/model/rtx-4090/1/1", "bafkreifkpxo2rmirsv2llkxpcl6ufmyu3mo6zf2rfuudh6wwn7uo3rw3qu"},
	} {
		require.Equal(t, c.text, c.key.String())
		require.Equal(t, c.cid, c.key.CID().String(), c.text)
	}
}

func TestPlaceKnownAnswers(t *testing.T) {
	for depth, shard := range map[int]int{0: 0, 1: 1, 2: 3, 3: 6, 8: 208, 12: 3338} {
		p, err := PlaceOf(known(t), depth)
		require.NoError(t, err)
		require.Equal(t, depth, p.Depth())
		require.Equal(t, shard, p.Shard(), "depth %d", depth)
	}
	for _, depth := range []int{-1, 13} {
		_, err := PlaceOf(known(t), depth)
		require.ErrorIs(t, err, ErrKey)
	}
}

func TestSampledKnownAnswers(t *testing.T) {
	key := allKey(t, "souk")
	for _, c := range []struct {
		day, depth int
		want       bool
	}{{1, 0, true}, {1, 1, false}, {5, 1, true}, {5, 2, false}, {27, 4, true}, {28, 3, true}, {28, 4, false}} {
		day := time.Date(2026, 1, c.day, 23, 59, 0, 0, time.UTC)
		require.Equal(t, c.want, sampled(known(t), key.At(Place{depth: 2, shard: 1}), day, c.depth), "%+v", c)
	}
	// 00:30 on the 6th in a zone one hour ahead is still the 5th in UTC.
	ahead := time.FixedZone("ahead", 3600)
	require.True(t, sampled(known(t), key, time.Date(2026, 1, 6, 0, 30, 0, 0, ahead), 1))
}

func TestTierOf(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		vram uint64
		tier int
	}{
		{0, 0}, {7 * gib, 0},
		{8 * gib, 8},
		{7730941132, 0}, {7730941133, 8}, // 0.9·8 GiB is 7730941132.8
		{11 * gib, 12}, // an RTX 2080 Ti has 11 GiB
		{24564 << 20, 24}, {25757220 << 10, 24},
		{81559 << 20, 80}, {143771 << 20, 141},
		{1 << 63, 141}, {^uint64(0), 141},
	} {
		require.Equal(t, c.tier, TierOf(c.vram), "%d bytes", c.vram)
	}
	require.Equal(t, []int{24, 32, 48, 80, 141}, TiersFrom(24*gib))
	require.Equal(t, Tiers(), TiersFrom(0))
	require.Equal(t, []int{141}, TiersFrom(1<<62))
}

func TestKeysRefuse(t *testing.T) {
	for name, err := range map[string]error{
		"region":     second(CellKey("souk", "mars", 8, Place{})),
		"no region":  second(CellKey("souk", "", 8, Place{})),
		"tier":       second(CellKey("souk", "eu", 10, Place{})),
		"empty slug": second(ModelKey("souk", "", Place{})),
		"upper case": second(ModelKey("souk", "RTX", Place{})),
		"slash":      second(ModelKey("souk", "a/b", Place{})),
		"hyphens":    second(ModelKey("souk", "a--b", Place{})),
		"newline":    second(ModelKey("souk", "a\n", Place{})),
		"long":       second(ModelKey("souk", string(bytes.Repeat([]byte("a"), 65)), Place{})),
	} {
		require.ErrorIs(t, err, ErrKey, name)
	}
	require.ErrorIs(t, second(AllKey("Souk", Place{})), ErrNetworkName)
}

func second(_ Key, err error) error { return err }

func TestStandKeys(t *testing.T) {
	id := known(t)
	s := Stand{Network: "souk", Region: "eu", Tier: 24, Models: []string{"rtx-4090"}}
	keys, err := s.Keys(id, time.Time{})
	require.NoError(t, err)
	require.Equal(t, []string{
		"/souk/1/souk/all/0/0", "/souk/1/souk/all/1/1",
		"/souk/1/souk/cell/any/24/0/0", "/souk/1/souk/cell/any/24/1/1",
		"/souk/1/souk/cell/eu/24/0/0", "/souk/1/souk/cell/eu/24/1/1",
		"/souk/1/souk/model/rtx-4090/0/0", "/souk/1/souk/model/rtx-4090/1/1",
	}, texts(keys))

	s = Stand{Network: "souk", Depth: 1}
	keys, err = s.Keys(id, time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)) // sampled for "all" that day
	require.NoError(t, err)
	require.Equal(t, []string{"/souk/1/souk/all/1/1", "/souk/1/souk/all/2/3", "/souk/1/souk/all/0/0"}, texts(keys)[:3])

	s = Stand{Network: "souk", Region: AnyRegion, Depth: MaxDepth}
	keys, err = s.Keys(id, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, []string{"/souk/1/souk/all/12/3338", "/souk/1/souk/cell/any/0/12/3338"}, texts(keys))

	_, err = Stand{Network: "souk", Region: "xx"}.Keys(id, time.Time{})
	require.ErrorIs(t, err, ErrKey)
}

func TestCellKeys(t *testing.T) {
	keys, err := CellKeys("souk", "", []int{24, 32}, Place{})
	require.NoError(t, err)
	require.Equal(t, []string{"/souk/1/souk/cell/any/24/0/0", "/souk/1/souk/cell/any/32/0/0"}, texts(keys))
	_, err = CellKeys("souk", "eu", []int{1}, Place{})
	require.ErrorIs(t, err, ErrKey)
}

func texts(keys []Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.String())
	}
	return out
}

// Whatever a provider stands under, a reader of that key takes it for valid,
// and no key is there twice.
func TestProviderStandsInItsPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := peer.ID(rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "id"))
		s := Stand{
			Network: rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "network"),
			Region:  rapid.SampledFrom(append(Regions(), "", AnyRegion)).Draw(t, "region"),
			Tier:    rapid.SampledFrom(Tiers()).Draw(t, "tier"),
			Models:  rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,8}(-[a-z0-9]{1,8})?`), 0, 3, rapid.ID).Draw(t, "models"),
			Depth:   rapid.IntRange(0, MaxDepth).Draw(t, "depth"),
		}
		day := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "day"), 0)
		keys, err := s.Keys(id, day)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, k := range keys {
			if !k.Place().Holds(id) {
				t.Fatalf("%s does not hold %s", k, hex.EncodeToString([]byte(id)))
			}
			if seen[k.CID().KeyString()] {
				t.Fatalf("%s is there twice", k)
			}
			seen[k.CID().KeyString()] = true
		}
	})
}

// A shard at depth d+1 is one half of that at depth d.
func TestShardsNest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := peer.ID(rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "id"))
		depth := rapid.IntRange(0, MaxDepth-1).Draw(t, "depth")
		if shardOf(id, depth) != shardOf(id, depth+1)>>1 {
			t.Fatalf("depth %d: %d, %d", depth, shardOf(id, depth), shardOf(id, depth+1))
		}
	})
}

func TestTierIsTheLargestThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vram := rapid.Uint64Range(0, 200<<30).Draw(t, "vram")
		got := TierOf(vram)
		for _, tier := range Tiers() {
			fits := float64(vram) >= 0.9*float64(tier)*(1<<30)
			if fits != (tier <= got) {
				t.Fatalf("%d bytes: tier %d, yet fits(%d) is %v", vram, got, tier, fits)
			}
		}
	})
}
