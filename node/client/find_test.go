package client_test

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/offer"
)

// withVRAM is a free device of so many GiB.
func withVRAM(gib int64) *offer.Device {
	d := gpu(2, "claimed")
	d.VRAM = gib << 30
	return d
}

func needs24(s *jobfile.Spec) {
	asImage(s)
	s.GPU, s.Region = &market.GPUNeed{Name: "any", Count: 1, VRAM: 24 << 30}, "eu"
}

const (
	everybody = "/souk/1/test/all/0/0"
	exact     = "/souk/1/test/cell/eu/24/0/0"
)

func TestFewResultsWidenTheSearchToTheNextTiers(t *testing.T) {
	small, fits, larger := newFake(t, script{price: 300_000, device: withVRAM(16)}), newFake(t, script{price: 360_000, device: withVRAM(24)}), newFake(t, script{price: 420_000, device: withVRAM(48)})
	below := newFake(t, script{price: 360_000, device: withVRAM(24)})
	a := newActor(t)
	a.finder.cells = map[string][]peer.AddrInfo{
		everybody: {small.info()}, exact: {fits.info()}, "/souk/1/test/cell/eu/48/0/0": {larger.info()},
		"/souk/1/test/cell/eu/16/0/0": {below.info()}, "/souk/1/test/cell/na/24/0/0": {below.info()},
	}
	plan, err := a.start(nil).Plan(t.Context(), spec(t, needs24))
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{exact}, {everybody},
		{"/souk/1/test/cell/eu/32/0/0", "/souk/1/test/cell/eu/48/0/0", "/souk/1/test/cell/eu/80/0/0", "/souk/1/test/cell/eu/141/0/0"},
	}, a.finder.asked)
	require.Len(t, plan.Candidates, 3, "no tier below is asked, and no other region")
	require.Equal(t, fits.host.ID().String(), plan.Candidates[0].Peer)
	require.Equal(t, larger.host.ID().String(), plan.Candidates[1].Peer, "found in the next tiers")
	require.Empty(t, plan.Candidates[1].WhyNot)
	require.NotEmpty(t, plan.Candidates[2].WhyNot, "too small a device fits nowhere")
}

// standing has so many providers that fit needs24 stand under a key.
func (a *actor) standing(key string, n int) {
	a.finder.cells = map[string][]peer.AddrInfo{}
	for i := range n {
		f := newFake(a.t, script{price: 360_000 + uint64(i), device: withVRAM(24)}) //nolint:gosec // a few
		a.finder.cells[key] = append(a.finder.cells[key], f.info())
	}
}

func TestEnoughResultsDontWidenTheSearch(t *testing.T) {
	a := newActor(t)
	a.standing(exact, 3)
	larger := newFake(t, script{price: 1, device: withVRAM(48)})
	a.finder.cells["/souk/1/test/cell/eu/48/0/0"] = []peer.AddrInfo{larger.info()}
	plan, err := a.start(nil).Plan(t.Context(), spec(t, needs24))
	require.NoError(t, err)
	require.ElementsMatch(t, [][]string{{exact}, {everybody}}, a.finder.asked) // 1 ms apart, which a busy machine may turn round
	require.Len(t, plan.Candidates, 3)
}

func TestASearchEndsWithTheFirstKeyThatHasAllItWants(t *testing.T) {
	a := newActor(t)
	a.standing(exact, 8)
	plan, err := a.start(nil).Plan(t.Context(), spec(t, needs24))
	require.NoError(t, err)
	require.Equal(t, [][]string{{exact}}, a.finder.asked)
	require.Len(t, plan.Candidates, 8)
}

// Who answers and doesn't fit must not keep a rare model from being found.
func TestARareModelIsFoundAmongMany(t *testing.T) {
	const model = "/souk/1/test/model/h100-80gb/0/0"
	a := newActor(t)
	a.standing(model, 20)
	card := withVRAM(80)
	card.Model, card.Slug = "H100 80GB HBM3", "h100-80gb"
	rare := newFake(t, script{price: 1, device: card})
	a.finder.cells["/souk/1/test/cell/eu/80/0/0"] = []peer.AddrInfo{rare.info()}
	plan, err := a.start(nil).Plan(t.Context(), spec(t, func(s *jobfile.Spec) {
		needs24(s)
		s.GPU = &market.GPUNeed{Name: "h100-80gb", Count: 1, VRAM: 72 << 30}
	}))
	require.NoError(t, err)
	require.Equal(t, []string{model}, a.finder.asked[0], "where it is likeliest")
	require.Equal(t, rare.host.ID().String(), plan.Candidates[0].Peer, "though those who stand there have none")
	require.Empty(t, plan.Candidates[0].WhyNot)
}

func TestAKeyThatTakesLongDoesntHoldUpTheOthers(t *testing.T) {
	a := newActor(t)
	a.standing(everybody, 8)
	a.finder.stuck = exact
	a.times.Alone, a.times.Find = time.Millisecond, 2*time.Minute
	plan, err := a.start(nil).Plan(t.Context(), spec(t, needs24))
	require.NoError(t, err)
	require.ElementsMatch(t, [][]string{{exact}, {everybody}}, a.finder.asked) // 1 ms apart, which a busy machine may turn round
	require.Len(t, plan.Candidates, 8, "and enough found there ends the search")
}

// Those that answer and don't fit are no results.
func TestOffersThatDontFitAreNotEnough(t *testing.T) {
	a := newActor(t)
	a.finder.cells = map[string][]peer.AddrInfo{}
	for range 3 {
		a.finder.cells[exact] = append(a.finder.cells[exact], newFake(t, script{price: 1, device: gpu(0, "claimed")}).info())
	}
	larger := newFake(t, script{price: 1, device: withVRAM(80)})
	a.finder.cells["/souk/1/test/cell/eu/80/0/0"] = []peer.AddrInfo{larger.info()}
	plan, err := a.start(nil).Plan(t.Context(), spec(t, needs24))
	require.NoError(t, err)
	require.Len(t, a.finder.asked, 3)
	require.Equal(t, larger.host.ID().String(), plan.Candidates[0].Peer)
	require.Contains(t, plan.Summary, "1 provider of 4 can be leased")
}

// A search for a job ends with the first few that answer; a list doesn't.
func TestAListHasEverybody(t *testing.T) {
	const many = 20
	a := newActor(t)
	a.finder.cells = map[string][]peer.AddrInfo{}
	for i := range many {
		a.finder.cells[everybody] = append(a.finder.cells[everybody], newFake(t, script{price: 360_000 + uint64(i)}).info())
	}
	offers, err := a.start(nil).Offers(t.Context(), client.Need{All: true})
	require.NoError(t, err)
	require.Len(t, offers, many)
}

// Whoever looks for a GPU without saying for what isn't shown one that no job can have.
func TestARealGPUWhereOnlyWASMRunsIsForNobody(t *testing.T) {
	device := gpu(1, "claimed")
	a := newActor(t, newFake(t, script{device: device, runs: []string{market.KindWASM}}), newFake(t, script{device: device}))
	offers, err := a.start(nil).Offers(t.Context(), client.Need{GPU: &market.GPUNeed{Name: "RTX4090", Count: 1}})
	require.NoError(t, err)
	require.Len(t, offers, 2)
	require.Empty(t, offers[0].WhyNot)
	require.Equal(t, "it runs no images, and a WASM job can't use a GPU", offers[1].WhyNot)
}
