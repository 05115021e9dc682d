package provider_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"souk/node/device"
	"souk/node/executor"
	"souk/node/provider"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

var pinned = "registry.example/app:1@sha256:" + strings.Repeat("ab", 32)

// newYard is a shop that runs images too, with one real GPU.
func newYard(t *testing.T, with ...func(*provider.Config)) (*shop, *stage) {
	docker := newStage(t)
	docker.kind = market.KindDocker
	s := newShop(t, append(with, func(c *provider.Config) {
		c.Executors = append(c.Executors, docker)
		c.CheckEvery, c.Platform = 10*time.Millisecond, "linux/amd64"
	})...)
	s.close()
	s.total.Devices = []device.Device{{ID: "GPU-1", Model: "RTX 4090", Slug: "rtx-4090", VRAM: 24 << 30, Kind: device.Claimed}}
	s.open()
	return s, docker
}

// newImageGuest wants to run an image on a GPU.
func newImageGuest(t *testing.T, s *shop) *guest {
	g := newGuest(t, s)
	g.request.Executor, g.request.GPU = market.KindDocker, &market.GPUNeed{Name: "any", Count: 1}
	g.job = market.Job{Name: "image", Image: &market.Image{Ref: pinned}, Args: []string{"-v"}}
	return g
}

func (g *guest) leaseImage() lease.Accepted {
	q, err := g.ask()
	require.NoError(g.t, err)
	require.NoError(g.t, g.reconcile())
	a := g.acceptance(q, q.Quote.TickPrice)
	require.NoError(g.t, g.send(a))
	return a
}

func TestAnImageRunsOnItsExecutorWithItsDevices(t *testing.T) {
	use := market.DeviceUse{ID: "GPU-1", Model: "RTX 4090", Utilisation: 93, Memory: 1 << 30, Celsius: 70, Watts: 400}
	s, docker := newYard(t, func(c *provider.Config) {
		c.Egress = true
		c.Use = func(ids []string) []market.DeviceUse {
			require.Equal(t, []string{"GPU-1"}, ids)
			return []market.DeviceUse{use}
		}
	})
	require.Equal(t, []string{"wasm", "docker"}, s.Offer().Executors)
	g := newImageGuest(t, s)
	g.request.Egress = []string{"example.org:443"}
	a := g.leaseImage()
	require.Equal(t, market.KindDocker, a.Terms.Executor)
	require.Equal(t, g.request.Egress, a.Terms.Egress)
	v := g.attach(a, 0)
	require.Eventually(t, func() bool { x := docker.only(); return x != nil && x.began() }, time.Minute, 5*time.Millisecond)
	require.Zero(t, s.stage.left(), "it doesn't run as WASM")
	spec := docker.only().spec
	require.Equal(t, &executor.Image{Ref: pinned}, spec.Image)
	require.Equal(t, []executor.Device{{ID: "GPU-1"}}, spec.Devices)
	require.Equal(t, []string{"example.org:443"}, spec.Egress)
	require.Equal(t, cid.Undef, spec.Module)
	require.NoError(t, v.next(func(e *pb.RunEvent) bool {
		if e.GetTick() == nil {
			return false
		}
		body, err := market.DecodeBody(e.GetTick().GetReceipt().GetBody())
		require.NoError(t, err)
		require.Equal(t, []market.DeviceUse{use}, body.Devices)
		return true
	}))
	docker.only().exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.NoError(t, v.next(settled(v.last.Seq)))
	s.nothingHeld()
	require.Zero(t, docker.left())
}

func TestProgressOfAPullIsToldToTheClient(t *testing.T) {
	s, _ := newYard(t)
	g := newImageGuest(t, s)
	g.job.Args = []string{"slow"}
	v := g.attach(g.leaseImage(), 0)
	require.NoError(t, v.next(func(e *pb.RunEvent) bool {
		return e.GetState().GetState() == string(market.Preparing) && e.GetState().GetDetail() == "pulling 120 of 800 MiB"
	}))
	require.NoError(t, v.s.Cancel())
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.Cancelled, v.last.Outcome)
	require.True(t, v.last.Charged.IsZero())
}

func TestAClientIsToldOnlyWhatIsMeantForIt(t *testing.T) {
	s, _ := newYard(t)
	g := newImageGuest(t, s)
	g.job.Args = []string{"broken"}
	a := g.leaseImage()
	v := g.attach(a, 0)
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.ProviderFailed, v.last.Outcome)
	require.Equal(t, "the registry can't be used", s.record(a.Lease.Hash()).Reason)
}

// A client needn't hold against this provider what a registry did.
func TestAnImageThatCantBeHadIsNotTheProvidersFailure(t *testing.T) {
	s, _ := newYard(t)
	for arg, cause := range map[string]string{"gone": market.CauseUnfit, "bad": market.CauseUnfit, "broken": "failed"} {
		g := newImageGuest(t, s)
		g.job.Args = []string{arg}
		a := g.leaseImage()
		v := g.attach(a, 0)
		require.NoError(t, v.next(isDone))
		require.Equal(t, market.ProviderFailed, v.last.Outcome)
		require.True(t, v.last.Charged.IsZero())
		require.Equal(t, cause, v.body.Cause, arg)
	}
}

func TestAnExecutorThatStopsLeavesTheOffersAndComesBack(t *testing.T) {
	s, docker := newYard(t)
	offers := func(kinds ...string) func() bool {
		return func() bool { return strings.Join(s.Offer().Executors, " ") == strings.Join(kinds, " ") }
	}
	docker.fall(errors.New("the Docker daemon doesn't answer"))
	require.Eventually(t, offers("wasm"), time.Minute, 5*time.Millisecond)
	g := newImageGuest(t, s)
	_, err := g.ask()
	require.True(t, wire.IsCode(err, wire.Busy), "%v", err)
	require.ErrorContains(t, err, "docker jobs can't run here now")
	docker.fall(nil)
	require.Eventually(t, offers("wasm", "docker"), time.Minute, 5*time.Millisecond)
	_, err = g.ask()
	require.NoError(t, err)
}

// Docker is down when the node comes back: the lease ends uncharged beyond
// what was signed, and what ran is ended as soon as Docker is up again.
func TestWhatAStoppedDaemonHidesIsEndedLater(t *testing.T) {
	s, docker := newYard(t)
	g := newImageGuest(t, s)
	a := g.leaseImage()
	g.attach(a, 0)
	require.Eventually(t, func() bool { x := docker.only(); return x != nil && x.began() }, time.Minute, 5*time.Millisecond)
	docker.fall(errors.New("the Docker daemon doesn't answer"))
	s.restart()
	require.NoError(t, g.reconcile())
	v := g.attach(a, 0)
	v.silent.Store(true)
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.ProviderFailed, v.last.Outcome)
	require.Equal(t, 1, docker.left())
	docker.fall(nil)
	require.Eventually(t, func() bool { return docker.left() == 0 }, time.Minute, 5*time.Millisecond)
	s.nothingHeld()
}

// Docker comes back between a node's start and its first look: a job that
// prepared then would be taken for one that was left over.
func TestNothingIsPreparedBeforeWhatIsLeftWasLookedFor(t *testing.T) {
	s, docker := newYard(t)
	g := newImageGuest(t, s)
	g.job.Args = []string{"slow"}
	a := g.leaseImage()
	preparing := func(e *pb.RunEvent) bool { return e.GetState().GetDetail() == "pulling 120 of 800 MiB" }
	require.NoError(t, g.attach(a, 0).next(preparing))
	docker.fall(errors.New("the Docker daemon doesn't answer"))
	s.restart()
	require.NoError(t, g.reconcile())
	v := g.attach(a, 0)
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.ProviderFailed, v.last.Outcome)
	require.Equal(t, "docker jobs can't run here now", s.record(a.Lease.Hash()).Reason)
}

func TestWhatAKindOfJobCantHaveIsRefused(t *testing.T) {
	s, _ := newYard(t)
	for name, c := range map[string]struct {
		change func(*market.Request)
		says   string
	}{
		"a GPU for WASM":       {func(r *market.Request) { r.Executor = market.KindWASM }, "a WASM job can't use a GPU; use an image"},
		"a network for WASM":   {func(r *market.Request) { *r = wasmRequest(r); r.Egress = []string{"example.org:443"} }, "a WASM job has no network"},
		"egress":               {func(r *market.Request) { r.Egress = []string{"example.org:443"} }, "this provider grants jobs no network"},
		"another architecture": {func(r *market.Request) { r.Platform = "linux/arm64/v8" }, "runs images for linux/amd64"},
		"another executor":     {func(r *market.Request) { r.Executor = "slurm" }, "this provider runs wasm and docker jobs"},
	} {
		g := newImageGuest(t, s)
		c.change(&g.request)
		_, err := g.ask()
		require.True(t, wire.IsCode(err, wire.NoMatch), "%s: %v", name, err)
		require.ErrorContains(t, err, c.says, name)
	}
	small := newImageGuest(t, s)
	small.request.Memory = 2
	_, err := small.ask()
	require.True(t, wire.IsCode(err, wire.BadRequest), "%v", err)
	require.ErrorContains(t, err, "an image's job needs 6 MiB of memory at least")
	g := newImageGuest(t, s)
	g.request.Platform = "linux/amd64"
	_, err = g.ask()
	require.NoError(t, err)
	s.nothingHeld()
}

func wasmRequest(r *market.Request) market.Request {
	w := *r
	w.Executor, w.GPU = market.KindWASM, nil
	return w
}

func TestAJobOfAnotherKindThanTheTermsIsRefused(t *testing.T) {
	s, docker := newYard(t)
	g := newImageGuest(t, s)
	q, err := g.ask()
	require.NoError(t, err)
	require.NoError(t, g.reconcile())
	g.job = market.Job{Name: "test", WASM: g.module}
	err = g.send(g.acceptance(q, q.Quote.TickPrice))
	require.True(t, wire.IsCode(err, wire.BadJob), "%v", err)
	require.Zero(t, docker.left()+s.stage.left())
	s.nothingHeld()
}

func TestTwoExecutorsOfOneKindAreRefused(t *testing.T) {
	s := newShop(t)
	_, err := provider.New(provider.Config{Key: s.key, Network: network, Tick: time.Second, MaxTime: time.Hour, Executors: []executor.Executor{s.stage, s.stage}})
	require.ErrorContains(t, err, "two executors of the kind wasm")
}
