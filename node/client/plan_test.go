package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

func gpu(free int, evidence string) *offer.Device {
	return &offer.Device{Free: free, Device: market.Device{Model: "RTX 4090", Slug: "rtx-4090", VRAM: 24 << 30, Count: 2, Evidence: evidence}}
}

// needsGPU makes a job one for images on a GPU.
func needsGPU(s *jobfile.Spec) { asImage(s); s.GPU = &market.GPUNeed{Name: "RTX4090", Count: 1} }

// miss is a market in which a job is planned, and what the plan's summary says.
type miss struct {
	name    string
	scripts []script
	edit    func(*jobfile.Spec)
	code    wire.Code
	says    string
}

func summaries(t *testing.T, cases []miss) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var fakes []*fake
			for _, s := range c.scripts {
				fakes = append(fakes, newFake(t, s))
			}
			e := newActor(t, fakes...).start(nil)
			plan, err := e.Plan(t.Context(), spec(t, c.edit))
			require.NoError(t, err)
			require.Equal(t, string(c.code), plan.Code, plan.Summary)
			require.Contains(t, plan.Summary, c.says)
			for _, cand := range plan.Candidates {
				require.Equal(t, cand.WhyNot == "", cand.Why != "", "%+v", cand)
			}
		})
	}
}

func TestASummaryNamesTheNearestMissOfAGPU(t *testing.T) {
	alone := func(s *jobfile.Spec) { needsGPU(s); s.Exclusive = true }
	shared := gpu(2, "claimed")
	shared.Shared = true
	wasm := []string{market.KindWASM}
	limit := market.NewAmount(500_000)
	summaries(t, []miss{
		{
			"all too dear", []script{{price: 620_000, device: gpu(2, "claimed")}, {price: 700_000, device: gpu(2, "claimed")}, {price: 100_000}},
			func(s *jobfile.Spec) { needsGPU(s); s.Price = &limit },
			wire.OverPrice, "2 providers have the GPU, the cheapest asks 0.6228/h, your limit is 0.50/h",
		},
		{"a share where the whole is wanted", []script{{device: shared}}, alone, wire.NoMatch, "its terms share the RTX4090 with other leases"},
		{"a whole one", []script{{device: gpu(2, "claimed")}}, alone, "", "1 provider of 1 can be leased"},
		{"all busy", []script{{device: gpu(0, "claimed")}}, needsGPU, wire.Busy, "1 provider has the GPU, none free now"},
		{"only simulated", []script{{device: gpu(2, "simulated")}}, needsGPU, client.NoProvider, "1 provider has the GPU only simulated; --allow-simulated takes those"},
		{
			"none runs images", []script{{device: gpu(2, "claimed"), runs: wasm}, {device: gpu(2, "claimed"), runs: wasm}, {}}, needsGPU,
			client.NoProvider, "2 providers have the GPU, none runs images",
		},
		{
			"a simulated one for WASM", []script{{device: gpu(2, "simulated")}}, func(s *jobfile.Spec) { s.GPU = &market.GPUNeed{Name: "RTX4090", Count: 1} },
			client.NoProvider, "1 provider has the GPU only simulated, and a WASM job can't use one; use an image, or need no GPU",
		},
		{
			"a GPU for WASM", []script{{device: gpu(2, "claimed")}}, func(s *jobfile.Spec) { s.GPU = &market.GPUNeed{Name: "RTX4090", Count: 1} },
			client.NoProvider, "a WASM job can't use a GPU; use an image",
		},
		{"a real one for an image", []script{{device: gpu(2, "claimed")}}, needsGPU, "", "1 provider of 1 can be leased"},
		{"no such GPU", []script{{}, {}}, needsGPU, client.NoProvider, "2 providers answered and none fits; the nearest: it has no RTX4090"},
		{"no GPU at all", []script{{}}, func(s *jobfile.Spec) { asImage(s); s.GPU = &market.GPUNeed{Count: 1} }, client.NoProvider, "it has no GPU"},
		{
			"none proves anything", []script{{device: gpu(2, "claimed"), proves: offer.ChallengeOff}}, challenged,
			client.NoProvider, "1 provider has the GPU, none takes challenges",
		},
		{"a simulated one will do", []script{{device: gpu(2, "simulated")}}, func(s *jobfile.Spec) { needsGPU(s); s.AllowSimulated = true }, "", "1 provider of 1 can be leased"},
	})
}

func TestASummaryNamesTheNearestMissOfTheRest(t *testing.T) {
	wasm := []string{market.KindWASM}
	summaries(t, []miss{
		{"none runs images, no GPU", []script{{runs: wasm}, {runs: wasm}}, asImage, client.NoProvider, "2 providers answered, none runs images"},
		{"too little memory", []script{{}}, func(s *jobfile.Spec) { s.Memory = 1 << 40 }, client.NoProvider, "it has 8GiB of memory, you need 1TiB"},
		{"cores all leased", []script{{leased: 8}}, nil, wire.Busy, "0 of its 8 cores are free now, you need 1"},
		{"too few cores for ever", []script{{leased: 8}}, func(s *jobfile.Spec) { s.CPU = 9 }, client.NoProvider, "it has 8 cores, you need 9"},
		{"elsewhere", []script{{}}, func(s *jobfile.Spec) { s.Region = "na" }, client.NoProvider, "it is in region eu, not na"},
		{
			"no network", []script{{}, {}}, func(s *jobfile.Spec) { asImage(s); s.Egress = []string{"example.org:443"} },
			client.NoProvider, "2 providers have what you need, none grants jobs a network",
		},
		{"a network", []script{{net: true}}, func(s *jobfile.Spec) { asImage(s); s.Egress = []string{"example.org:443"} }, "", "1 provider of 1 can be leased"},
		{"nobody", nil, nil, client.NoProvider, "no provider of the network test answered"},
	})
}

func TestSpeedAndPastCountBesidePrice(t *testing.T) {
	slow := newFake(t, script{price: 360_000, speed: 10})
	fast := newFake(t, script{price: 720_000, speed: 100})
	e := newActor(t, slow, fast).start(nil)
	plan, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	require.Equal(t, fast.host.ID().String(), plan.Candidates[0].Peer, "twice the price for ten times the speed")
	require.Contains(t, plan.Candidates[0].Why, "cheapest per unit of speed")
}

func TestAJobStaysWithinThePlanThatWasSeen(t *testing.T) {
	f := newFake(t, script{price: 360_000, ticks: 1})
	e := newActor(t, f).start(nil)
	plan, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	f.script.price = 36_000_000 // and the quote, as far as this client remembers it, is gone
	f.forget()
	id, err := e.Submit(t.Context(), spec(t, nil), plan.ID)
	require.NoError(t, err)
	_, last := finished(t, e, id)
	require.Equal(t, "souk", last.Source)
	require.True(t, last.Spent.IsZero())
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, plan.WorstCost, info.Total)
}

func TestInputsThatAreNotThere(t *testing.T) {
	e := newActor(t).start(nil)
	for name, edit := range map[string]func(*jobfile.Spec){
		"a path": func(s *jobfile.Spec) { s.Inputs = []jobfile.Input{{Path: "/no/such/file", At: "/in/x"}} },
		"a CID": func(s *jobfile.Spec) {
			s.Inputs = []jobfile.Input{{CID: "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", At: "/in/x"}}
		},
		"no CID": func(s *jobfile.Spec) { s.Inputs = []jobfile.Input{{CID: "nonsense", At: "/in/x"}} },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.Plan(t.Context(), spec(t, edit))
			require.True(t, wire.IsCode(err, client.BadInput), "%v", err)
			_, err = e.Submit(t.Context(), spec(t, edit), "")
			require.True(t, wire.IsCode(err, client.BadInput), "%v", err)
		})
	}
}

func TestJobsShareAChannel(t *testing.T) {
	f := newFake(t, script{price: 36_000_000, ticks: 4, output: "42"})
	a := newActor(t, f)
	e := a.start(nil)
	var ids []string
	for range 4 {
		id, err := e.Submit(t.Context(), spec(t, nil), "")
		require.NoError(t, err)
		ids = append(ids, id)
	}
	due := market.Amount{}
	for _, id := range ids {
		_, last := finished(t, e, id)
		require.Equal(t, "job", last.Source, last.Text)
		due = due.Add(*last.Spent)
	}
	require.NoError(t, a.book.View(t.Context(), func(tx *ledger.Tx) error {
		for ch, err := range tx.Channels(ledger.Client) {
			require.NoError(t, err)
			require.Equal(t, due, ch.Due)
			require.Equal(t, f.highest, ch.Voucher)
			requireVouchersGrow(t, tx, ch.ID) // they may arrive in another order
		}
		return nil
	}))
}

func TestIDsByPrefix(t *testing.T) {
	f := newFake(t, script{price: 0, ticks: 1, output: "42"})
	e := newActor(t, f).start(nil)
	info := runOne(t, e)
	require.True(t, info.Spent.IsZero(), "price 0 costs nothing")
	require.Empty(t, f.voucher, "and needs no voucher")
	got, err := e.Job(t.Context(), info.ID[:4])
	require.NoError(t, err)
	require.Equal(t, info, got)
	_, err = e.Job(t.Context(), "zz")
	require.True(t, wire.IsCode(err, wire.Unknown))
	_, err = e.Job(t.Context(), "")
	require.True(t, wire.IsCode(err, wire.Unknown))

	ch, err := e.Watch(t.Context(), info.ID, 6) // a job that is done is told again
	require.NoError(t, err)
	var events []client.Event
	for ev := range ch {
		events = append(events, ev)
	}
	require.Equal(t, client.Placed, events[0].Kind)
	require.Equal(t, client.Finished, events[len(events)-1].Kind)
	require.Equal(t, fakeLog[6:], logOf(events))
}
