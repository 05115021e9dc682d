//go:build dockertest && cgo && linux

package testnet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	dockerclient "github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/testnet"
)

// runtimeless stands between a provider and Docker, in place of NVIDIA's runtime,
// which needs a GPU: it takes the GPUs out of what is asked for, and notes them.
type runtimeless struct {
	http.Handler
	mu    sync.Mutex
	asked [][]container.DeviceRequest // of each container
}

func (r *runtimeless) granted() [][]container.DeviceRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func (r *runtimeless) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if strings.HasSuffix(q.URL.Path, "/containers/create") {
		r.take(q)
	}
	r.Handler.ServeHTTP(w, q)
}

func (r *runtimeless) take(q *http.Request) {
	var all map[string]any
	var host struct{ HostConfig container.HostConfig }
	body, _ := io.ReadAll(q.Body)
	if json.Unmarshal(body, &all) == nil && json.Unmarshal(body, &host) == nil {
		delete(all["HostConfig"].(map[string]any), "DeviceRequests")
		body, _ = json.Marshal(all)
		r.mu.Lock()
		r.asked = append(r.asked, host.HostConfig.DeviceRequests)
		r.mu.Unlock()
	}
	q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// withoutRuntime gives the address at which a provider finds Docker.
func withoutRuntime(t *testing.T) (*runtimeless, string) {
	t.Helper()
	daemon := strings.TrimPrefix(os.Getenv(dockerclient.EnvOverrideHost), "unix://")
	if daemon == "" {
		daemon = strings.TrimPrefix(dockerclient.DefaultDockerHost, "unix://")
	}
	dir, err := os.MkdirTemp("", "souk-line") // short enough for a socket
	require.NoError(t, err)
	r := &runtimeless{Handler: &httputil.ReverseProxy{
		Rewrite: func(q *httputil.ProxyRequest) { q.Out.URL.Scheme, q.Out.URL.Host = "http", "docker" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", daemon)
		}},
		FlushInterval: -1,
	}}
	listener, err := net.Listen("unix", filepath.Join(dir, "sock"))
	require.NoError(t, err)
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.NoError(t, os.RemoveAll(dir))
	})
	return r, "unix://" + listener.Addr().String()
}

// gaming is a provider of two GPUs, and a client.
type gaming struct {
	*world
	driver   *driver
	provider *command
	peer     string
	docker   *runtimeless
}

// A GPU goes while a stranger's container has it, in each of the ways in which GPUs go.
func TestAGPUVanishesUnderALease(t *testing.T) {
	t.Parallel()
	_, err := firstProcess()
	require.NoError(t, err)
	g := &gaming{world: up(t, testnet.Options{Providers: 1, Clients: 1, Tick: time.Second, LostAfter: time.Minute}), driver: newDriver(t, "GeForce RTX 4090", "GeForce RTX 5090")}
	var host string
	g.docker, host = withoutRuntime(t)
	n, provider := g.supplyWith(g.driver.env(), "gaming", fmt.Sprintf("provider: {price: 0.10/h, tick: 1s, executors: [docker]}\ndocker: {host: %q, allow_runc: true}\n", host))
	g.peer, g.provider = n.Peer, provider
	for _, c := range []struct {
		name, model, says string
		change            func(c *card)
		job               []string // how many seconds, and more
		back              bool
	}{
		{"it falls off the bus", "RTX 4090", "NVIDIA's driver has lost it: it fell off the bus; start the machine anew", func(c *card) { c.status = isLost }, []string{"100"}, true},
		{"and takes its job along", "RTX 4090", "NVIDIA's driver has lost it: it fell off the bus; start the machine anew", func(c *card) { c.status = isLost }, []string{"4", "--", "-exit", "1"}, true},
		{"an XID that is the GPU's fault", "RTX 5090", "the driver reported XID 48 (memory errors that can't be corrected); reset the GPU, then start souk anew", func(c *card) { c.xids = []int{31, 48} }, []string{"100"}, false},
		{"its driver is upgraded", "RTX 4090", "the library in use was removed from the disk: the driver in the kernel and its library are of different versions; start the machine anew", func(*card) { g.driver.install() }, []string{"100"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &gaming{&world{t, g.s}, g.driver, g.provider, g.peer, g.docker}
			gpu := g.driver.named(c.model)
			g.vanishes(gpu, c.model, c.says, g.counting(c.model, c.job[0], c.job[1:]...), func() { c.change(gpu) })
			if c.back {
				g.driver.now(func() { gpu.status = 0 })
				g.told("%s (%s) is offered now", gpu.model, gpu.id)
				eventually(t, "it is offered", func() bool { return strings.Contains(g.offers(), c.model) })
				souk(t, g.dir("client-1"), g.counting(c.model, "1")...).ends(0)
			}
		})
	}
	g.agree([]string{"client-1"}, []string{"gaming"})
}

// vanishes has a GPU go under a job.
func (g *gaming) vanishes(gpu *card, model, says string, job []string, change func()) {
	g.t.Helper()
	run := start(g.t, g.dir("client-1"), job...)
	run.logged("2: 6 words")
	granted := g.docker.granted()
	require.Equal(g.t, []string{gpu.id}, granted[len(granted)-1][0].DeviceIDs, "exactly the leased GPU")
	g.driver.now(change)
	run.ends(client.ExitSouk)
	reason := fmt.Sprintf("%s (%s): %s", gpu.model, gpu.id, says)
	done := run.kind(client.Finished)
	require.Contains(g.t, done.Text, reason)
	x := g.job("client-1", done.Job).Executions[0]
	require.Equal(g.t, "provider_failed", x.Outcome)
	require.False(g.t, x.Charged.IsZero(), "what was signed before is paid")
	require.Equal(g.t, x.Charged, x.Countersigned)
	g.atMostATick(x, time.Second)
	shown := souk(g.t, g.dir("client-1"), "receipts", "show", x.Lease).ends(0).out.String()
	require.Regexp(g.t, `(?m)^1 .* `+gpu.model+` 0 % 400MiB 40 °C 60 W `, shown, "how it was used while it was there")
	g.told("%s (%s) is gone: %s; leases that it ends: ", gpu.model, gpu.id, says)
	g.ended("provider_failed  charged ")
	g.ended(reason)
	eventually(g.t, "it isn't offered any more", func() bool { return !strings.Contains(g.offers(), model) })
}

func (g *gaming) counting(model, seconds string, more ...string) []string {
	return counting(g.t, seconds, append([]string{"--gpu", model, "--retries", "0"}, more...)...)
}

// told waits until the provider's owner has read a sentence.
func (g *gaming) told(format string, args ...any) {
	g.t.Helper()
	g.ended("trouble   " + fmt.Sprintf(format, args...))
}

func (g *gaming) ended(text string) {
	g.t.Helper()
	eventually(g.t, "the provider says: "+text, func() bool { return strings.Contains(g.provider.out.String(), text) })
}

// offers is what the client knows of the provider's devices.
func (g *gaming) offers() string {
	g.t.Helper()
	out := souk(g.t, g.dir("client-1"), "offers", "--all", "--json").ends(0).out.String()
	for _, c := range decode[client.Candidate](g.t, out) {
		if c.Peer == g.peer {
			return c.Devices
		}
	}
	return ""
}
