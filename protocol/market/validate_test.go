package market_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

func goodRequest() market.Request {
	return market.Request{Network: "souk", Executor: "wasm", CPU: 1, Memory: 1, Disk: 1, MaxMillis: 1}
}

func goodTerms() market.Terms {
	return market.Terms{Network: "souk", CPU: 1, Memory: 1, Disk: 1, Executor: "wasm", Unit: "ms"}
}

func goodJob() market.Job { return market.Job{WASM: markettest.Module()} }

func goodQuote() market.Quote {
	return market.Quote{TickUnits: 1000, MaxTicks: 1, MaxMillis: 1, StartBy: 1, ExpiresAt: 1}
}

// refused checks that good passes and that each change makes it invalid.
func refused[T interface{ Validate() error }](t *testing.T, good func() T, changes map[string]func(*T)) {
	t.Helper()
	require.NoError(t, good().Validate())
	for name, change := range changes {
		doc := good()
		change(&doc)
		require.ErrorIs(t, doc.Validate(), market.ErrInvalid, name)
		require.Less(t, len(doc.Validate().Error()), 300, name)
	}
}

func TestRequestsAreValidated(t *testing.T) {
	long := strings.Repeat("a", 1000)
	gpu := func(g market.GPUNeed) func(*market.Request) { return func(r *market.Request) { r.GPU = &g } }
	refused(t, goodRequest, map[string]func(*market.Request){
		"no network":      func(r *market.Request) { r.Network = "" },
		"network's chars": func(r *market.Request) { r.Network = "so_uk" },
		"long network":    func(r *market.Request) { r.Network = long },
		"no executor":     func(r *market.Request) { r.Executor = "" },
		"long executor":   func(r *market.Request) { r.Executor = long },
		"no cpu":          func(r *market.Request) { r.CPU = 0 },
		"too many cpus":   func(r *market.Request) { r.CPU = market.MaxCPU + 1 },
		"no memory":       func(r *market.Request) { r.Memory = 0 },
		"negative disk":   func(r *market.Request) { r.Disk = -1 },
		"negative inputs": func(r *market.Request) { r.InputBytes = -1 },
		"no time":         func(r *market.Request) { r.MaxMillis = 0 },
		"31 days":         func(r *market.Request) { r.MaxMillis = market.MaxLeaseMillis + 1 },
		"no gpus":         gpu(market.GPUNeed{Name: "any"}),
		"nameless gpu":    gpu(market.GPUNeed{Count: 1}),
		"long gpu":        gpu(market.GPUNeed{Name: long, Count: 1}),
		"too many gpus":   gpu(market.GPUNeed{Name: "any", Count: market.MaxGPUs + 1}),
		"negative vram":   gpu(market.GPUNeed{Name: "any", Count: 1, VRAM: -1}),
		"long region":     func(r *market.Request) { r.Region = long },
		"egress":          func(r *market.Request) { r.Egress = []string{"127.0.0.1:80"} },
		"platform":        func(r *market.Request) { r.Platform = "linux" },
	})
}

func TestTermsAreValidated(t *testing.T) {
	device := func(d market.Device) func(*market.Terms) {
		return func(r *market.Terms) { r.Devices = []market.Device{d} }
	}
	refused(t, goodTerms, map[string]func(*market.Terms){
		"no network":       func(r *market.Terms) { r.Network = "" },
		"no cpu":           func(r *market.Terms) { r.CPU = 0 },
		"no memory":        func(r *market.Terms) { r.Memory = 0 },
		"no disk":          func(r *market.Terms) { r.Disk = 0 },
		"negative outputs": func(r *market.Terms) { r.MaxOutput = -1 },
		"negative log":     func(r *market.Terms) { r.MaxLog = -1 },
		"no executor":      func(r *market.Terms) { r.Executor = "" },
		"no unit":          func(r *market.Terms) { r.Unit = "" },
		"prepayment":       func(r *market.Terms) { r.PrepayTicks = 101 },
		"credit":           func(r *market.Terms) { r.CreditTicks = 101 },
		"too many kinds":   func(r *market.Terms) { r.Devices = make([]market.Device, 65) },
		"no devices":       device(market.Device{Evidence: market.Measured}),
		"too many devices": device(market.Device{Evidence: market.Measured, Count: market.MaxGPUs + 1}),
		"negative vram":    device(market.Device{Evidence: market.Claimed, Count: 1, VRAM: -1}),
		"no evidence":      device(market.Device{Count: 1}),
		"egress":           func(r *market.Terms) { r.Egress = []string{"none"} },
	})
	good := goodTerms()
	good.Devices = []market.Device{{Model: "RTX 4090", Count: 1, Evidence: market.Simulated}}
	require.NoError(t, good.Validate())
}

func TestJobsAreValidated(t *testing.T) {
	at := func(paths ...string) func(*market.Job) {
		return func(j *market.Job) {
			for _, p := range paths {
				j.Inputs = append(j.Inputs, market.Input{At: p, CID: markettest.Module()})
			}
		}
	}
	changes := map[string]func(*market.Job){
		"long name":          func(j *market.Job) { j.Name = strings.Repeat("a", market.MaxNameBytes+1) },
		"name not UTF-8":     func(j *market.Job) { j.Name = "\xff" },
		"no program":         func(j *market.Job) { j.WASM = cid.Undef },
		"two programs":       func(j *market.Job) { j.Image = &market.Image{Archive: markettest.Module()} },
		"an empty image":     func(j *market.Job) { j.WASM, j.Image = cid.Undef, &market.Image{} },
		"too many arguments": func(j *market.Job) { j.Args = make([]string, market.MaxArgs+1) },
		"NUL in an argument": func(j *market.Job) { j.Args = []string{"a\x00b"} },
		"argument not UTF-8": func(j *market.Job) { j.Args = []string{"\xff"} },
		"nameless variable":  func(j *market.Job) { j.Env = map[string]string{"": "1"} },
		"= in a variable":    func(j *market.Job) { j.Env = map[string]string{"A=B": "1"} },
		"NUL in a variable":  func(j *market.Job) { j.Env = map[string]string{"A\x00": "1"} },
		"NUL in a value":     func(j *market.Job) { j.Env = map[string]string{"A": "\x00"} },
		"value not UTF-8":    func(j *market.Job) { j.Env = map[string]string{"A": "\xff"} },
		"too many inputs":    func(j *market.Job) { j.Inputs = make([]market.Input, market.MaxInputs+1) },
		"input without CID":  func(j *market.Job) { j.Inputs = []market.Input{{At: "/in"}} },
		"one path twice":     at("/in", "/in"),
		"path in a path":     at("/in", "/in/a"),
		"path around a path": at("/in/a", "/in"),
		"input in outputs":   func(j *market.Job) { j.Outputs = "/out"; at("/out/a")(j) },
	}
	for _, p := range []string{"", "/", "in", "./in", "/in/", "/a/../b", "/..", "//in", "/a:b", `/a\b`, "/a\x00", "/\xff", "/" + strings.Repeat("a", 1024)} {
		changes["input at "+p] = at(p)
		if p != "" { // no outputs
			changes["outputs at "+p] = func(j *market.Job) { j.Outputs = p }
		}
	}
	refused(t, goodJob, changes)
	good := goodJob()
	good.Outputs = "/in2"
	at("/in", "/in-2")(&good)
	require.NoError(t, good.Validate())
}

func TestQuotesAreValidated(t *testing.T) {
	refused(t, goodQuote, map[string]func(*market.Quote){
		"no tick":               func(q *market.Quote) { q.TickUnits = 0 },
		"no ticks":              func(q *market.Quote) { q.MaxTicks = 0 },
		"least above the price": func(q *market.Quote) { q.MinCharge = market.NewAmount(1) },
		"unknown unit":          func(q *market.Quote) { q.Unit = 2 },
		"no time":               func(q *market.Quote) { q.MaxMillis = 0 },
		"31 days":               func(q *market.Quote) { q.MaxMillis = market.MaxLeaseMillis + 1 },
		"short tick":            func(q *market.Quote) { q.TickUnits = market.MinTickMillis - 1 },
		"long tick":             func(q *market.Quote) { q.TickUnits = market.MaxTickMillis + 1 },
		"starts before expiry":  func(q *market.Quote) { q.ExpiresAt = 2 },
		"product of 2^128":      func(q *market.Quote) { q.TickPrice, q.MaxTicks = amount(new(big.Int).Lsh(big.NewInt(1), 126)), 4 },
	})
	q := goodQuote()
	q.TickPrice = amount(limit)
	require.NoError(t, q.Validate(), "2^128-1 is below 2^128")
	q.Unit, q.TickUnits = market.UnitMeter, 1
	require.NoError(t, q.Validate(), "a meter's tick has any size")
}

func TestNetworkNames(t *testing.T) {
	for s, want := range map[string]bool{"souk": true, "a-1": true, "": false, "Souk": false, "so uk": false, "souk\n": false, "sóuk": false, strings.Repeat("a", 32): true, strings.Repeat("a", 33): false} {
		require.Equal(t, want, market.ValidNetwork(s), "%q", s)
	}
}

func TestImagesAreValidated(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for _, ref := range []string{"alpine" + digest, "alpine:3.20" + digest, "ghcr.io/a/b_c.d-e" + digest, "127.0.0.1:5000/x:v1" + digest, "localhost:5000/a/b" + digest} {
		j := market.Job{Image: &market.Image{Ref: ref}}
		require.NoError(t, j.Validate(), ref)
		require.Equal(t, market.KindDocker, j.Kind())
		require.Empty(t, j.Roots())
	}
	for _, ref := range []string{
		"alpine", "alpine:3", digest, "@" + digest, "alpine@sha256:00", "alpine@sha512:" + strings.Repeat("0", 64), "alpine" + strings.ToUpper(digest),
		"--privileged" + digest, "/alpine" + digest, "a//b" + digest, "a b" + digest, "a\n" + digest, "https://x/y" + digest, strings.Repeat("a", 500) + digest,
		"alpine" + digest + "\n",
	} {
		require.ErrorIs(t, market.Image{Ref: ref}.Validate(), market.ErrInvalid, ref)
	}
	both := market.Image{Ref: "alpine" + digest, Archive: markettest.Module()}
	require.ErrorIs(t, both.Validate(), market.ErrInvalid)
}

func TestImageJobsReadBackAsTheyWere(t *testing.T) {
	archive := market.Job{Image: &market.Image{Archive: markettest.Module()}, Inputs: []market.Input{{At: "/in", CID: markettest.Module()}}}
	require.Len(t, archive.Roots(), 2)
	for block, j := range map[string]market.Job{
		`{"image":{"ref":"a@sha256:` + strings.Repeat("0", 64) + `"}}`:                                                                                  {Image: &market.Image{Ref: "a@sha256:" + strings.Repeat("0", 64)}},
		`{"image":{"archive":{"/":"` + markettest.Module().String() + `"}},"inputs":[{"at":"/in","cid":{"/":"` + markettest.Module().String() + `"}}]}`: archive,
		`{"wasm":{"/":"` + markettest.Module().String() + `"}}`:                                                                                         goodJob(),
	} {
		made, err := j.Encode()
		require.NoError(t, err)
		require.Equal(t, block, string(made))
		again, err := market.DecodeJob(made)
		require.NoError(t, err)
		require.Equal(t, j, again)
	}
	_, err := market.DecodeJob([]byte(`{"image":{"archive":null,"ref":"a@sha256:` + strings.Repeat("0", 64) + `"}}`))
	require.ErrorIs(t, err, market.ErrEncoding)
}

func TestUseOfDevicesIsValidated(t *testing.T) {
	good := func() market.Body {
		return market.Body{Devices: []market.DeviceUse{{ID: "GPU-1", Model: "RTX 4090", Utilisation: 97, Memory: 1 << 30, Celsius: 71, Watts: 410}}}
	}
	refused(t, good, map[string]func(*market.Body){
		"nameless":   func(b *market.Body) { b.Devices[0].ID = "" },
		"over 100 %": func(b *market.Body) { b.Devices[0].Utilisation = 101 },
		"memory":     func(b *market.Body) { b.Devices[0].Memory = -1 },
		"watts":      func(b *market.Body) { b.Devices[0].Watts = -1 },
		"long":       func(b *market.Body) { b.Devices[0].Model = strings.Repeat("a", 129) },
		"too many":   func(b *market.Body) { b.Devices = make([]market.DeviceUse, market.MaxDeviceUses+1) },
	})
	block, err := good().Encode()
	require.NoError(t, err)
	again, err := market.DecodeBody(block)
	require.NoError(t, err)
	require.Equal(t, good(), again)
}
