//go:build dockertest

package testnet_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	dockerclient "github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/executor/docker/registrytest"
	"souk/node/testnet"
)

// What goes wrong with Docker and with images is told to both sides in a
// sentence, costs nothing before the start, and ends the lease as it should.
func TestWhatGoesWrongWithContainers(t *testing.T) {
	_, err := firstProcess()
	require.NoError(t, err)
	w := up(t, testnet.Options{Providers: 1, Clients: 1, Tick: time.Second, LostAfter: time.Minute})
	shop, line := registrytest.New(t), newLine(t)
	_, provider := w.supply("contained", fmt.Sprintf("provider: {price: 0.10/h, tick: 1s, executors: [docker]}\n"+
		"docker: {host: %q, allow_runc: true, registries: [%q], max_image: 16MiB}\n", "unix://"+line.path, shop.Host))
	eventually(t, "it is found", func() bool {
		return strings.Contains(souk(t, w.dir("client-1"), "offers", "--executor", "docker").out.String(), "docker")
	})
	good := shop.Push(t, "count", countFor(t, runtime.GOARCH))
	t.Run("an image of a registry", func(t *testing.T) {
		run := souk(t, w.dir("client-1"), inContainer(good, "--", "-in", "/count", "-out", "/dev/null", "-exit", "3")...).ends(3)
		require.Contains(t, run.log(), "1: ")
	})
	t.Run("images that won't do", func(t *testing.T) { badImages(&world{t, w.s}, shop, provider) })
	t.Run("egress that isn't granted", func(t *testing.T) {
		run := souk(t, w.dir("client-1"), inContainer(good, "--egress", "example.com:443")...).ends(client.ExitSouk)
		require.Contains(t, run.kind(client.Finished).Text, "none grants jobs a network", "its offer says so, and it is asked for no quote")
	})
	t.Run("Docker stops in the middle", func(t *testing.T) { dockerStops(&world{t, w.s}, line, provider, good) })
	t.Run("no Docker at all", func(t *testing.T) { noDocker(&world{t, w.s}) })
}

func badImages(w *world, shop *registrytest.Registry, provider *command) {
	big, err := random.Image(10<<20, 2)
	require.NoError(w.t, err)
	none := "sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		name, ref, says string
		wrap            func(http.Handler) http.Handler
	}{
		{"a missing image", shop.Host + "/nothing@" + none, "no image", nil},
		{"an image for another architecture", shop.Push(w.t, "foreign", countFor(w.t, "riscv64")), "linux/riscv64", nil},
		{"an image over a limit", shop.Push(w.t, "big", big), "16 MiB", nil},
		{"an image that isn't what its digest says", shop.Push(w.t, "swapped", countFor(w.t, runtime.GOARCH, "another")), "digest", registrytest.SwapManifests},
	} {
		w.t.Run(c.name, func(t *testing.T) {
			w := &world{t, w.s}
			shop.Between(c.wrap)
			defer shop.Between(nil)
			run := souk(t, w.dir("client-1"), inContainer(c.ref)...).ends(client.ExitSouk)
			done := run.kind(client.Finished)
			require.Contains(t, done.Text, c.says)
			for _, x := range w.job("client-1", done.Job).Executions {
				require.True(t, x.Charged.IsZero(), "it cost %s", x.Charged)
				require.Equal(t, "provider_failed", x.Outcome)
			}
			eventually(t, "the provider is told too", func() bool { return strings.Contains(provider.out.String(), c.says) })
		})
	}
}

func dockerStops(w *world, line *line, provider *command, image string) {
	dir := w.dir("client-1")
	run := start(w.t, dir, inContainer(image, "--", "-in", "/count", "-out", "/dev/null", "-seconds", "100")...)
	run.logged("2: ")
	line.cut()
	run.ends(client.ExitSouk)
	done := run.kind(client.Finished)
	require.Contains(w.t, done.Text, "Docker stopped in the middle of the job")
	x := w.job("client-1", done.Job).Executions[0]
	require.Equal(w.t, "provider_failed", x.Outcome)
	w.atMostATick(x, time.Second)
	eventually(w.t, "the provider is told too", func() bool { return strings.Contains(provider.out.String(), "Docker stopped in the middle of the job") })
	require.Contains(w.t, souk(w.t, w.dir("contained"), "doctor").out.String(), "Docker")
	line.mend()
	eventually(w.t, "the container is removed", func() bool { return len(containers(w.t, x.Lease)) == 0 })
	eventually(w.t, "it runs jobs again", func() bool {
		return souk(w.t, dir, inContainer(image, "--", "-in", "/count", "-out", "/dev/null", "-exit", "4")...).wait() == 4
	})
	w.agree([]string{"client-1"}, []string{"contained"})
}

func noDocker(w *world) {
	_, without := w.supply("without", "provider: {price: 0.01/h}\ndocker: {host: \"unix:///nowhere/docker.sock\"}\n")
	eventually(w.t, "it says what it lacks", func() bool {
		return strings.Contains(without.out.String(), "docker: there is no Docker at /nowhere/docker.sock")
	})
	eventually(w.t, "a client sees that it runs no images", func() bool {
		out := souk(w.t, w.dir("client-1"), "offers", "--all", "--executor", "docker").out.String()
		return strings.Count(out, "not: it runs no images") == 2 // and provider-1
	})
}

// inContainer is the command line for a job in a container.
func inContainer(image string, more ...string) []string {
	return append([]string{
		"run", "-y", "--json", "--image", image, "--memory", "64MiB", "--disk", "16MiB", "--total", "0.1", "--time", "2m", "--retries", "0",
	}, more...)
}

// countFor is the counting program's image, said to be for an architecture.
func countFor(t *testing.T, arch string, author ...string) v1.Image {
	t.Helper()
	archive, err := countImage()
	require.NoError(t, err)
	img, err := tarball.ImageFromPath(archive, nil)
	require.NoError(t, err)
	return registrytest.Guise(t, img, arch, t.Name()+strings.Join(author, ""))
}

// line is a way to the Docker daemon that can be cut, as if it had stopped,
// and mended.
type line struct {
	t    *testing.T
	path string

	mu       sync.Mutex
	listener net.Listener
	open     []net.Conn
}

func newLine(t *testing.T) *line {
	t.Helper()
	dir, err := os.MkdirTemp("", "souk-line") // short enough for a socket
	require.NoError(t, err)
	l := &line{t: t, path: filepath.Join(dir, "sock")}
	l.mend()
	t.Cleanup(func() {
		l.cut()
		require.NoError(t, os.RemoveAll(dir))
	})
	return l
}

func (l *line) mend() {
	l.t.Helper()
	listener, err := net.Listen("unix", l.path)
	require.NoError(l.t, err)
	l.mu.Lock()
	l.listener = listener
	l.mu.Unlock()
	go func() { // ends when the line is cut
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go l.pass(in)
		}
	}()
}

func (l *line) pass(in net.Conn) {
	daemon := os.Getenv(dockerclient.EnvOverrideHost)
	if daemon == "" {
		daemon = dockerclient.DefaultDockerHost
	}
	out, err := net.Dial("unix", strings.TrimPrefix(daemon, "unix://"))
	if err != nil {
		_ = in.Close()
		return
	}
	l.mu.Lock()
	l.open = append(l.open, in, out)
	l.mu.Unlock()
	go func() { pipe(out, in) }()
	pipe(in, out)
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from) // its end is the line's
	_, _ = to.Close(), from.Close()
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.listener.Close()
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}
